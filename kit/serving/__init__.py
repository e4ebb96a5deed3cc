"""The HTTP service: finished runs behind a JSON API and a page, many requests in one compiled call."""
