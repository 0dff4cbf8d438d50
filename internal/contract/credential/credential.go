package credential

import (
	"regexp"
	"slices"
	"strings"
)

// Tokens of GitHub and AWS, private keys, and addresses with a password. A token of
// an installation may have dots and dashes.
// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
var pattern = regexp.MustCompile(
	`gh[pousr]_[A-Za-z0-9][A-Za-z0-9._-]{19,}` +
		`|github_pat_[A-Za-z0-9_]{20,}` +
		`|-----BEGIN [A-Z ]*PRIVATE KEY(?s:.*-----END [A-Z ]*PRIVATE KEY-----|.*)` +
		`|://[^/\s:@]*:[^/\s@]+@(?:sha256:)?` +
		`|\bA[KS]IA[A-Z0-9]{16}\b` +
		`|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)

// Hidden stands in place of a credential.
const Hidden = "[hidden]"

// In reports whether there is what looks like a credential in a text.
func In(text string) bool { return slices.ContainsFunc(pattern.FindAllString(text, -1), isCredential) }

// Hide returns a text with Hidden in place of what looks like a credential.
func Hide(text string) string {
	return pattern.ReplaceAllStringFunc(text, func(found string) string {
		if isCredential(found) {
			return Hidden
		}
		return found
	})
}

// isCredential reports whether what the pattern has found is more than the digest of an
// image, such as docker://alpine:3@sha256:….
func isCredential(found string) bool { return !strings.HasSuffix(found, "@sha256:") }
