"""What machines used until now: looked at, kept, shown. How it is kept in bounded memory is for `plan.history`."""
