"""What all tests start from."""

import signal

from hypothesis import settings

# A shell makes what it starts in the background ignore Ctrl-C, and every child would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy host makes any example slow, which is no defect.
settings.register_profile("weft", deadline=None)
settings.load_profile("weft")
