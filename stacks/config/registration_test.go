package config_test

import (
	"fmt"
	"strconv"
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

// What the webhook accepts and the registration does not serve would start an instance
// for each job, and no job would run.
func TestParse_RefusesAWebhookThatTheRegistrationDoesNotServe(t *testing.T) {
	const refused = `, where runners are registered, got %s: tasks for other jobs start, and are refused a runner`
	owner := func(i int, want, got string) string {
		return fmt.Sprintf("webhook.owners[%d] must be "+want+refused, i, strconv.Quote(got))
	}
	pattern := func(i int, want, got string) string {
		return fmt.Sprintf("webhook.repositories[%d] must be a pattern that matches "+want+refused, i, strconv.Quote(got))
	}
	for name, test := range map[string]struct {
		webhook, registration string
		want                  []string
	}{
		"a typo": {
			`{"owners": ["my-ogr"]}`, `{"organization": "my-org"}`, []string{owner(0, `"my-org"`, "my-ogr")},
		},
		"another organization": {
			`{"owners": ["My-Org", "other"], "repositories": ["my-org/a", "other/*"]}`, `{"organization": "my-org"}`,
			[]string{owner(1, `"my-org"`, "other"), pattern(1, `repositories of "my-org"`, "other/*")},
		},
		"another owner's repository": {
			`{"owners": ["other"]}`, `{"repository": "my-org/app"}`, []string{owner(0, `"my-org"`, "other")},
		},
		"patterns without the repository": {
			`{"owners": ["my-org"], "repositories": ["my-org/app", "my-org/ap", "my-org/service-*"]}`,
			`{"repository": "my-org/app"}`,
			[]string{
				pattern(1, `"my-org/app"`, "my-org/ap"), pattern(2, `"my-org/app"`, "my-org/service-*"),
			},
		},
		"patterns of nobody": {
			`{"owners": ["my-org"], "repositories": ["other/*", "*/docs"]}`, `{"organization": "my-org"}`,
			[]string{`webhook.repositories[0] must be of one of owners, got "other/*": deliveries of others are ignored, ` +
				`whatever their repository`},
		},
		"with other problems": {
			`{"owners": ["my-ogr", "a b"], "repositories": ["x"]}`, `{"organization": "my-org", "deployment": "A"}`,
			[]string{
				`webhook.owners[1] must be the login of an organization or a user, got "a b"`,
				`webhook.repositories[0] must be owner/name, where * stands for any characters but /, such as ` +
					`"my-org/service-*", got "x"`,
				`registration.deployment must be 1 to 8 lower-case letters and digits, got "A"`,
				owner(0, `"my-org"`, "my-ogr"),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse(`{"webhook": ` + test.webhook + `, "registration": ` + test.registration + `}`)
			assert.EqualError(t, err, "context key \"ecsrunners\":\n"+strings.Join(test.want, "\n"))
		})
	}
	for _, accepted := range []string{
		`"webhook": {"owners": ["MY-org"], "repositories": ["my-ORG/*"]}, "registration": {"organization": "My-Org"}`,
		`"webhook": {"owners": ["my-org"], "repositories": ["*/app"]}, "registration": {"repository": "My-Org/App"}`,
		`"webhook": {"owners": ["a", "b"]}, "registration": {"enterprise": "e", "credential": "token"}`,
	} {
		_, err := config.Parse("{" + accepted + "}")
		assert.NoError(t, err, accepted)
	}
}

func TestParse_RefusesAWebhookWithoutJobsInItsOwnWords(t *testing.T) {
	_, err := config.Parse(`{"webhook": {"owners": ["o"], "events": ["push"]}, "registration": {"organization": "o"},
		"fleets": [{"name": "a", "labels": ["x"], "image": "registry.example.com/runner"}]}`)
	assert.EqualError(t, err, `context key "ecsrunners":
webhook.events must be a list with workflow_job, or "*", got ["push"]: no job reaches a fleet otherwise`)
}
