// Package github asks GitHub about jobs, and registers and removes runners, at the
// level of an organization, a repository or an enterprise.
package github
