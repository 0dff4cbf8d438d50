package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

func TestParse_RefusesARegistrationThatCannotRegister(t *testing.T) {
	const oneScope = "registration.organization, repository, enterprise must be given exactly once, " +
		"because runners belong to an organization, a repository or an enterprise, got "
	for given, want := range map[string]string{
		`{}`: oneScope + "none of them",
		`{"organization": "o", "repository": "o/r"}`: oneScope + "two of them",
		`{"organization": "o", "repository": "o/r", "enterprise": "e"}`: oneScope + "all of them\n" +
			`registration.credential must be token with enterprise, got "app": GitHub lets no App register runners of an ` +
			`enterprise`,
		`{"organization": "a/b"}`: `registration.organization must be the login of an organization, ` +
			`got "a/b"`,
		`{"repository": "app"}`: `registration.repository must be the full name of a repository, ` +
			`such as "my-org/app", got "app"`,
		`{"enterprise": "a b", "credential": "token"}`: `registration.enterprise must be the slug of an enterprise, got ` +
			`"a b"`,
		`{"enterprise": "e"}`: `registration.credential must be token with enterprise, got "app": ` +
			`GitHub lets no App register runners of an enterprise`,
		`{"organization": "o", "credential": "password"}`: `registration.credential must be app or token, got "password"`,
		`{"organization": "o", "secretArn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:name"}`: `registration.secretArn must be ` +
			`the complete ARN of a secret, with the six characters at its end, got ` +
			`"arn:aws:secretsmanager:eu-central-1:111122223333:secret:name"`,
		`{"organization": "o", "secretName": "n", "secretArn": ` +
			`"arn:aws:secretsmanager:eu-central-1:111122223333:secret:name-AbCdEf"}`: `` +
			`registration.secretName cannot be used with secretArn: it names the new secret`,
		`{"organization": "o", "gitHubUrl": "http://github.example.com", "deployment": "production"}`: `registration.gitHubUrl must be ` +
			`an https address without a path, such as "https://github.com", "https://my-enterprise.ghe.com" or ` +
			`"https://github.example.com", ` +
			"got \"http://github.example.com\"\n" +
			`registration.deployment must be 1 to 8 lower-case letters and digits, got "production"`,
	} {
		t.Run(given, func(t *testing.T) {
			_, err := config.Parse(`{"registration": ` + given + `}`)
			assert.EqualError(t, err, "context key \"ecsrunners\":\n"+want)
		})
	}
}

func TestParse_RefusesFleetsOfNamesThatCannotBe(t *testing.T) {
	_, err := config.Parse(`{
		"webhook": {"owners": ["octo"]}, "registration": {"organization": "octo"},
		"fleets": [{"name": "Linux", "labels": ["x"], "image": "An image"}]}`)
	assert.EqualError(t, err, strings.Join([]string{
		`context key "ecsrunners":`,
		`fleets[0].name must be at most 24 lower-case letters, digits and single hyphens, beginning with a letter, got ` +
			`"Linux"`,
		`fleets[0].image must be an image such as "registry.example.com/runner:stable", got "An image"`,
	}, "\n"))
}
