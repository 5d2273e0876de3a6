# noqa: A005 - a folder of tests is never imported by the name of the standard library's module
