"""The host's ledger: what is promised, granted and used, what may be added to it, and who gives back when it is short.

All of it is pure: an account of the host as it is comes in, a refusal or a list of changes comes out.
"""
