"""`python -m dj_workers.demo` is `dj-worker demo`."""

from dj_workers.demo.command import demo

demo()
