"""The scripts are run by their test, not imported to look for doctests."""

collect_ignore_glob = ["scripts/*"]
