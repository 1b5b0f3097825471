"""Read by every Python that a test starts, so that workers and commands have no network either."""

import closed_network  # noqa: F401
