"""Numbers for Prometheus, at `/metrics`.

Each module of `SUBJECTS` in `survey.py` is a subject: its `FAMILIES` say what there is, and its `fill` puts the samples
of one scrape on a sheet. Another subject is another module in that list; the reference page is written from it.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""
