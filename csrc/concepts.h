/* The concepts, a line for each: NAME stands for the function NAME_exec() of
 * ready/NAME.c and of legacy/NAME.c, which adds what NAME offers to a module.
 * They run in this order. */
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
