"""The scaling study of the thesis's chapter 4: train VideoGPT over a grid, encode, fit, compare.

A study is a TOML file (`settings`); its cells (`cells`) are computed one after the other, each in
a process of its own (`process`, `work`), and recorded (`run`); `table` and `figures` show them.
"""
