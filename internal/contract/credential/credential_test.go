package credential_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/credential"
)

const key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"

func TestHide_LeavesNothingOfACredential(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ given, want string }{
		"token":              {`"ghp_0123456789abcdefghijABCDEFGHIJ456789" is it`, `"[hidden]" is it`},
		"fine-grained token": {"github_pat_11ABCDEFG0123456789abcd_0123456789abcdef", "[hidden]"},
		"installation token": {"ghs_12345_eyJhbGciOi.eyJpc3MiOi-0.c2lnbmF0dXJl", "[hidden]"},
		"App's JWT":          {"Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0NSJ9.c2lnbmF0dXJlMDEy", "Bearer [hidden]"},
		"key":                {"a " + key + " b", "a [hidden] b"},
		"key cut off":        {key[:40], "[hidden]"},
		"key id":             {"AKIAIOSFODNN7EXAMPLE", "[hidden]"},
		"password":           {"https://me:word@example.com/x", "https[hidden]example.com/x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.True(t, credential.In(test.given))
			assert.Equal(t, test.want, credential.Hide(test.given))
		})
	}
	for _, text := range []string{
		"", "ghp_short", "https://example.com:8443/@x", "a-fleet_of-a-long-name-0123456789abcdefghij", "AKIA",
	} {
		assert.False(t, credential.In(text), text)
		assert.Equal(t, text, credential.Hide(text))
	}
}

func TestIn_ADigestOfAnImageIsNoPassword(t *testing.T) {
	t.Parallel()
	const image = "docker://alpine:3@sha256:0123456789abcdef"
	assert.False(t, credential.In(image))
	assert.Equal(t, image, credential.Hide(image))
	assert.True(t, credential.In(image+" https://me:word@example.com"))
}
