package github

// APIBase is apiBase, for tests.
var APIBase = apiBase
