from brain_example import brain, built, example  # noqa: F401
