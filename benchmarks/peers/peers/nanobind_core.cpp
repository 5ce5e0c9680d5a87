#include <nb_combined.cpp> // all of nanobind; setuptools compiles no files of other projects
