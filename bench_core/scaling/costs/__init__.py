"""Cost models of the strategies: one module for each family of solvers.

Every function takes a `bench_core.ridge.planning.flops.FitShape` (t samples, p features, s targets,
r penalties, folds, dtype) and returns a `bench_core.scaling.operations.FitCost`. In the thesis's
terms (S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding", Concordia
University, 2025, section 3.2), T_M is what depends on X alone and T_W what grows with targets:

    MOR    T = (T_W + s T_M) / c     equation 3.6
    B-MOR  T = T_W / c + T_M         equation 3.7

for c nodes. The costs here say what T_M and T_W consist of, and add what these leave out: memory
traffic, files, messages and tasks.
"""
