package contract

import (
	"path"
	"strings"
)

// IsEventName reports whether s can be the name of a GitHub event, or of an action
// in one.
func IsEventName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// IsOwner reports whether s can be the login of an organization or a user. It
// accepts the characters that GitHub allows in names.
func IsOwner(s string) bool {
	if s == "" || s == "." || s == ".." { // the latter two would lead elsewhere in a path
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// IsRepositoryName reports whether s can be the full name of a repository,
// owner/name.
func IsRepositoryName(s string) bool {
	owner, name, ok := strings.Cut(s, "/")
	return ok && len(s) <= 200 && IsOwner(owner) && IsOwner(name)
}

// IsRepositoryPattern reports whether s can match the full name of a repository
// and survives being joined with commas.
func IsRepositoryPattern(s string) bool {
	_, err := path.Match(s, "")
	return err == nil && strings.Count(s, "/") == 1 && !strings.ContainsAny(s, ", ")
}

// IsJobID reports whether s can be the id of a job: a positive number in decimal,
// of no more digits than a 64-bit integer has.
func IsJobID(s string) bool {
	return s != "" && len(s) <= 19 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}
