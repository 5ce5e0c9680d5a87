/* The concepts, one per line: NAME stands for the function NAME_exec() in
 * ready/NAME.c and legacy/NAME.c, which adds the concept's public names to a
 * module. The functions run in this order. */
#ifndef FTDEMO_CONCEPTS_H
#define FTDEMO_CONCEPTS_H

#define CONCEPTS(X)                                                           \
    X(account)                                                                \
    X(tickets)                                                                \
    X(intern)                                                                 \
    X(checksum)                                                               \
    X(signal)                                                                 \
    X(work)

#endif /* !FTDEMO_CONCEPTS_H */
