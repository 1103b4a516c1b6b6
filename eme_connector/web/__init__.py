"""HTTP: the API and the pages; each view reads the request and calls one use case."""
