#include <nb_combined.cpp> // all of nanobind, as setuptools compiles only files of this project
