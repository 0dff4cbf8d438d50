package constructs_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
)

// fleetIn is a fleet whose runners are registered in a scope.
func (s system) fleetIn(id string, scope constructs.RunnerScope, label string) *constructs.RunnerFleet {
	registration := constructs.NewRunnerRegistration(s.stack, id+"Registration", &constructs.RunnerRegistrationProps{
		Scope: scope, Cluster: s.cluster, Credential: constructs.GitHubToken(nil),
	})
	return constructs.NewRunnerFleet(s.stack, id, &constructs.RunnerFleetProps{
		Registration: registration, Image: constructs.RegistryImage("registry.example.com/runner:stable"),
		Labels: []string{label},
	})
}

const (
	inMyOrg = `where runners are registered`
	refused = `: tasks for other jobs start, and are refused a runner`
)

func TestWebhookIngress_AddFleet_FailsWhenTheFleetCanGetNoJob(t *testing.T) {
	s := newSystem(t)
	for name, test := range map[string]struct {
		id    string
		props constructs.WebhookIngressProps
		scope constructs.RunnerScope
		want  string
	}{
		"a typo in the owner": {
			"Typo",
			constructs.WebhookIngressProps{Owners: []string{"my-ogr"}},
			constructs.Organization("my-org"),
			`Owners[0] must be "my-org", ` + inMyOrg + `, got "my-ogr"` + refused,
		},
		"patterns without the repository": {
			"Pattern",
			constructs.WebhookIngressProps{Owners: []string{"my-org"}, Repositories: []string{"my-org/a", "my-org/b-*"}},
			constructs.Repository("my-org/app"),
			`Repositories[0] must be a pattern that matches "my-org/app", ` + inMyOrg + `, got "my-org/a"` + refused + "\n" +
				`Repositories[1] must be a pattern that matches "my-org/app", ` + inMyOrg + `, got "my-org/b-*"` + refused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ingress := constructs.NewWebhookIngress(s.stack, test.id+"Ingress", &test.props)
			fleet := s.fleetIn(test.id, test.scope, "x")
			assert.Equal(t, `WebhookIngress "`+test.id+`Ingress": adding fleet "`+fleet.FleetName()+
				`", which can get no job:`+"\n"+test.want, cdktest.PanicMessage(t, func() { ingress.AddFleet(fleet) }))
		})
	}
}

func TestWebhookIngress_SynthesisFailsWhenAnOwnerIsServedByNobody(t *testing.T) {
	s := newSystem(t)
	ingress := constructs.NewWebhookIngress(s.stack, "Ingress",
		&constructs.WebhookIngressProps{Owners: []string{"my-org", "second", "third"}})
	ingress.AddFleet(s.fleetIn("One", constructs.Organization("my-org"), "one"))
	ingress.AddFleet(s.fleetIn("Two", constructs.Organization("Second"), "two"))
	assert.Contains(t, cdktest.PanicMessage(t, func() { cdktest.Template(s.stack) }),
		`[Test/Ingress] Owners[2] must be "Second" or "my-org", `+inMyOrg+`, got "third"`+refused)
}

func TestWebhookIngress_AcceptsWhatARegistrationServes(t *testing.T) {
	s := newSystem(t)
	two := constructs.NewWebhookIngress(s.stack, "Two", &constructs.WebhookIngressProps{
		Owners: []string{"MY-ORG", "second"}, Repositories: []string{"my-org/*", "*/app"},
	})
	two.AddFleet(s.fleetIn("First", constructs.Organization("my-org"), "one"))
	two.AddFleet(s.fleetIn("Second", constructs.Repository("Second/App"), "two"))
	all := constructs.NewWebhookIngress(s.stack, "All", &constructs.WebhookIngressProps{Owners: []string{"a", "b"}})
	all.AddFleet(s.fleetIn("Enterprise", constructs.Enterprise("globo"), "x"))
	assert.Empty(t, cdktest.Warnings(s.stack))
}

func TestWebhookIngress_WarnsOfRepositoriesBesideTheScopes(t *testing.T) {
	const id = "ecsrunners:otherRepositories"
	for _, acknowledged := range []bool{false, true} {
		s := newSystem(t)
		ingress := constructs.NewWebhookIngress(s.stack, "Ingress", owners())
		ingress.AddFleet(s.fleetIn("One", constructs.Repository("my-org/app"), "one"))
		if acknowledged {
			awscdk.Annotations_Of(ingress).AcknowledgeWarning(jsii.String(id), jsii.String("the webhook is the repository's"))
			assert.Empty(t, cdktest.Warnings(s.stack))
			continue
		}
		assert.Equal(t, []string{`/Test/Ingress: runners are registered for "my-org/app" only, and jobs of all repositories ` +
			`of my-org are accepted: those of others start tasks that are refused a runner; list the repository in ` +
			`Repositories, unless only its own webhook delivers here [ack: ` + id + `]`}, cdktest.Warnings(s.stack))
	}
}
