"""What every test may rely on."""

from __future__ import annotations

import signal

# A shell that starts a test run in the background may have it ignore SIGINT, and so would every
# process that a test starts: the tests of interruptions would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same for `nohup`, which has SIGHUP ignored.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
