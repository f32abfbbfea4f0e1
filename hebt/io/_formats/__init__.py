"""The formats of `hebt.io.save`: each module has `write`, `read` and the `PROGRAM` it is for."""
