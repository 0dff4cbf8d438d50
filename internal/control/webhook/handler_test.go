package webhook_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/labels"
)

func TestHandler_RejectsWhatIsNoDelivery(t *testing.T) {
	for name, test := range map[string]struct {
		delivery delivery
		status   int
	}{
		"GET":              {delivery{method: http.MethodGet}, http.StatusMethodNotAllowed},
		"PUT":              {delivery{method: http.MethodPut}, http.StatusMethodNotAllowed},
		"too large":        {delivery{body: strings.Repeat("x", 6<<20+1)}, http.StatusRequestEntityTooLarge},
		"too large, coded": {delivery{body: strings.Repeat("x", 6<<20+1), base64: true}, http.StatusRequestEntityTooLarge},
		"form": {
			delivery{headers: map[string]string{"content-type": "application/x-www-form-urlencoded"}},
			http.StatusUnsupportedMediaType,
		},
		"no content type": {delivery{headers: map[string]string{"content-type": ""}}, http.StatusUnsupportedMediaType},
		"odd content type": {
			delivery{headers: map[string]string{"content-type": "application/json; ="}},
			http.StatusUnsupportedMediaType,
		},
		// The first of several faults decides: nothing later was looked at.
		"GET, too large": {
			delivery{method: http.MethodGet, body: strings.Repeat("x", 6<<20+1)},
			http.StatusMethodNotAllowed,
		},
		"too large, form": {delivery{body: strings.Repeat("x", 6<<20+1), headers: map[string]string{
			"content-type": "text/plain",
		}}, http.StatusRequestEntityTooLarge},
		"form, unsigned": {
			delivery{headers: map[string]string{"content-type": "text/plain", "x-hub-signature-256": ""}},
			http.StatusUnsupportedMediaType,
		},
		"no JSON, unsigned": {
			delivery{body: "{", headers: map[string]string{"x-hub-signature-256": ""}},
			http.StatusUnauthorized,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			a := f.deliver(t, test.delivery)
			assert.Equal(t, test.status, a.status)
			if test.status != http.StatusUnauthorized {
				assert.Equal(t, webhookcontract.OutcomeInvalid, a.outcome)
			}
			if test.status == http.StatusMethodNotAllowed {
				assert.Equal(t, http.MethodPost, a.headers["Allow"])
			}
			assert.Zero(t, f.store.reads, "strangers can make us read the secret")
			assert.Empty(t, f.bus.entries)
		})
	}
}

func TestHandler_RefusesWhatGitHubDidNotSign(t *testing.T) {
	good := sign(currentSecret, usualPayload())
	for name, signature := range map[string]string{
		"missing":               "",
		"SHA-1":                 "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6",
		"of another secret":     sign("guess", usualPayload()),
		"of the empty secret":   sign("", usualPayload()),
		"of another body":       sign(currentSecret, usualPayload()+" "),
		"without its prefix":    strings.TrimPrefix(good, "sha256="),
		"with another prefix":   strings.Replace(good, "sha256", "SHA256", 1),
		"a digit short":         good[:len(good)-1],
		"two digits long":       good + "00",
		"no hexadecimal number": good[:len(good)-1] + "g",
		"with white space":      good + " ",
		"twice":                 good + "," + good,
		"of zeros":              "sha256=" + strings.Repeat("0", 64),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			a := f.deliver(t, delivery{body: usualPayload(), headers: map[string]string{"x-hub-signature-256": signature}})
			assert.Equal(t, http.StatusUnauthorized, a.status)
			assert.JSONEq(t, `{"outcome":"unauthorized"}`, a.body, "a stranger learns no more")
			assert.NotEmpty(t, a.log["error"], "an operator does")
			assert.NotContains(t, a.log, "event", "what a stranger sends does not get into the log")
			assert.Empty(t, f.bus.entries)
		})
	}
}

// GitHub publishes this example for testing implementations.
func TestHandler_AcceptsGitHubsTestVector(t *testing.T) {
	const (
		secret    = "It's a Secret to Everybody"
		body      = "Hello, World!"
		signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	)
	f := newFixture(t, settings())
	f.store.secrets["current"] = secret
	a := f.deliver(t, delivery{body: body, headers: map[string]string{"x-hub-signature-256": signature}})
	assert.Equal(t, http.StatusBadRequest, a.status, "the signature is right, the body no JSON")

	last := signature[:len(signature)-1] + "8"
	a = f.deliver(t, delivery{body: body, headers: map[string]string{"x-hub-signature-256": last}})
	assert.Equal(t, http.StatusUnauthorized, a.status)
}

func TestHandler_RejectsSignedPayloadsItDoesNotUnderstand(t *testing.T) {
	const repository = `"repository":{"full_name":"my-org/app","private":true}`
	const job = `"workflow_job":{"id":1,"labels":["x64"]}`
	for name, body := range map[string]string{
		"empty":                  ``,
		"white space":            ` `,
		"no JSON":                `{"action":}`,
		"cut off":                usualPayload()[:100],
		"with something behind":  usualPayload() + `x`,
		"two objects":            `{"a":1}{"a":1}`,
		"a list":                 `[{"action":"queued"}]`,
		"a string":               `"queued"`,
		"null":                   `null`,
		"empty object":           ` { } `,
		"not in UTF-8":           strings.Replace(usualPayload(), payloadMarker, "\xff", 1),
		"with a byte order mark": "\ufeff" + usualPayload(),
		"nested too deep":        `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"dispatch":               `{"dispatch":{"fleet":"linux-x64"},` + usualPayload()[1:],
		"dispatch, null":         `{"dispatch":null,` + usualPayload()[1:],
		"dispatch, last":         strings.TrimSuffix(usualPayload(), "}") + `,"dispatch":{}}`,
		"dispatch, escaped":      `{"\u0064ispatch":{},` + usualPayload()[1:],
		"dispatch, in capitals":  `{"Dispatch":{},` + usualPayload()[1:],
		"dispatch, folded":       `{"diſpatch":{},` + usualPayload()[1:],
		"action twice":           `{"action":"completed",` + usualPayload()[1:],
		"action in capitals":     `{"Action":"completed",` + usualPayload()[1:],
		"job twice":              `{` + job + `,` + usualPayload()[1:],
		"id twice":               jobPayload("queued", `{"id":1,"id":2,"labels":["x64"]}`),
		"Id":                     jobPayload("queued", `{"id":1,"Id":2,"labels":["x64"]}`),
		"full_name twice": `{"action":"queued",` + job +
			`,"repository":{"full_name":"my-org/app","full_name":"evil/app","private":true}}`,
		"private twice": `{"action":"queued",` + job +
			`,"repository":{"full_name":"my-org/app","private":true,"private":false}}`,
		"no action":                    `{` + job + `,` + repository + `}`,
		"action of another form":       `{"action":"Queued!",` + job + `,` + repository + `}`,
		"action not a string":          `{"action":1,` + job + `,` + repository + `}`,
		"no job":                       `{"action":"queued",` + repository + `}`,
		"job not an object":            `{"action":"queued","workflow_job":[],` + repository + `}`,
		"job without id":               jobPayload("queued", `{"labels":["x64"]}`),
		"id a string":                  jobPayload("queued", `{"id":"1","labels":["x64"]}`),
		"id zero":                      jobPayload("queued", `{"id":0,"labels":["x64"]}`),
		"id negative":                  jobPayload("queued", `{"id":-1,"labels":["x64"]}`),
		"id a fraction":                jobPayload("queued", `{"id":1.5,"labels":["x64"]}`),
		"id with an exponent":          jobPayload("queued", `{"id":1e3,"labels":["x64"]}`),
		"id above 64 bits":             jobPayload("queued", `{"id":12345678901234567890,"labels":["x64"]}`),
		"job without labels member":    jobPayload("queued", `{"id":1}`),
		"labels a string":              jobPayload("queued", `{"id":1,"labels":"x64"}`),
		"labels not strings":           jobPayload("queued", `{"id":1,"labels":[1]}`),
		"no repository":                `{"action":"queued",` + job + `}`,
		"repository null":              `{"action":"queued","repository":null,` + job + `}`,
		"repository without full name": `{"action":"queued","repository":{"private":true},` + job + `}`,
		"full name without owner":      `{"action":"queued","repository":{"full_name":"app","private":true},` + job + `}`,
		"full name of three parts": `{"action":"queued","repository":{"full_name":"my-org/app/x","private":true},` +
			job + `}`,
		"full name not a string":     `{"action":"queued","repository":{"full_name":null,"private":true},` + job + `}`,
		"repository without private": `{"action":"queued","repository":{"full_name":"my-org/app"},` + job + `}`,
		"private a string": `{"action":"queued","repository":{"full_name":"my-org/app","private":"true"},` + job +
			`}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			a := f.deliver(t, delivery{body: body, base64: true})
			assert.Equal(t, http.StatusBadRequest, a.status)
			assert.Equal(t, webhookcontract.OutcomeInvalid, a.outcome)
			assert.NotEmpty(t, a.reason, "who signed it may know what is wrong with it")
			assert.Empty(t, f.bus.entries)
		})
	}
}

func TestHandler_RejectsSignedDeliveriesWithoutTheirHeaders(t *testing.T) {
	for name, headers := range map[string]map[string]string{
		"no event":               {"x-github-event": ""},
		"event in capitals":      {"x-github-event": "Push"},
		"two events":             {"x-github-event": "push,workflow_job"},
		"event too long":         {"x-github-event": strings.Repeat("a", 65)},
		"no delivery id":         {"x-github-delivery": ""},
		"delivery id with quote": {"x-github-delivery": `1","fleet":"x`},
		"delivery id too long":   {"x-github-delivery": strings.Repeat("a", 65)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			a := f.deliver(t, delivery{body: usualPayload(), headers: headers})
			assert.Equal(t, http.StatusBadRequest, a.status)
			assert.Contains(t, a.reason, "X-GitHub-")
			assert.Empty(t, f.bus.entries)
		})
	}
}

func TestHandler_AnswersPing(t *testing.T) {
	f := newFixture(t, settings())
	a := f.deliver(t, delivery{event: "ping", body: `{"zen":"Keep it logically awesome.","hook_id":1}`})
	assert.Equal(t, http.StatusOK, a.status)
	assert.Equal(t, webhookcontract.OutcomePing, a.outcome)
	assert.Empty(t, f.bus.entries)
	a = f.deliver(t, delivery{event: "ping", body: `{"zen":"?"}`, secret: "wrong"})
	assert.Equal(t, http.StatusUnauthorized, a.status, "a ping shows that the secrets agree")
}

func TestHandler_IgnoresWhatIsNotAllowed(t *testing.T) {
	all := settings()
	all.Events = []string{webhookcontract.AllEvents}
	listed := settings()
	listed.Repositories = []string{"My-Org/service-*", "*/docs"}
	listedAll := listed
	listedAll.Events = all.Events
	from := func(repository string, private bool) string {
		body := strings.Replace(usualPayload(), "my-org/app", repository, 1)
		if !private {
			body = strings.Replace(body, `"private":true`, `"private":false`, 1)
		}
		return body
	}
	for name, test := range map[string]struct {
		settings webhookcontract.Config
		delivery delivery
		reason   string // empty: accepted
	}{
		"event not allowed": {
			settings(),
			delivery{event: "push", body: usualPayload()},
			"event type is not allowed",
		},
		"event of the future": {
			settings(),
			delivery{event: "time_travel", body: `{"when":"then"}`},
			"event type is not allowed",
		},
		"all events allowed":             {all, delivery{event: "push", body: usualPayload()}, ""},
		"owner not allowed":              {settings(), delivery{body: from("evil-org/app", true)}, "owner is not allowed"},
		"owner in another case":          {settings(), delivery{body: from("MY-Org/app", true)}, ""},
		"owner that begins like another": {settings(), delivery{body: from("my-org2/app", true)}, "owner is not allowed"},
		"repository listed":              {listed, delivery{body: from("my-org/Service-a", true)}, ""},
		"repository not listed":          {listed, delivery{body: from("my-org/app", true)}, "repository is not allowed"},
		"repository listed, owner not":   {listed, delivery{body: from("evil-org/docs", true)}, "owner is not allowed"},
		"repository public": {
			settings(),
			delivery{body: from("my-org/app", false)},
			"public repositories are not allowed",
		},
		"event of an organization": {all, delivery{
			event: "organization",
			body:  `{"action":"x","organization":{"login":"my-org"}}`,
		}, ""},
		"event of another organization": {all, delivery{
			event: "organization",
			body:  `{"action":"x","organization":{"login":"evil"}}`,
		}, "owner is not allowed"},
		"installation": {all, delivery{
			event: "installation",
			body:  `{"action":"created","installation":{"account":{"login":"My-Org"}}}`,
		}, ""},
		"installation elsewhere": {all, delivery{
			event: "installation",
			body:  `{"action":"created","installation":{"account":{"login":"evil"}}}`,
		}, "owner is not allowed"},
		"event of nobody": {
			all,
			delivery{event: "security_advisory", body: `{"action":"published"}`},
			"owner is not allowed",
		},
		"event without repository, listed": {listedAll, delivery{
			event: "organization",
			body:  `{"organization":{"login":"my-org"}}`,
		}, "repository is not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, test.settings)
			a := f.deliver(t, test.delivery)
			if test.reason == "" {
				assert.Equal(t, http.StatusAccepted, a.status, a.body)
				assert.Len(t, f.bus.entries, 1)
				return
			}
			assert.Equal(t, http.StatusOK, a.status, "GitHub would call it a failed delivery")
			assert.Equal(t, webhookcontract.OutcomeIgnored, a.outcome)
			assert.Equal(t, test.reason, a.reason)
			assert.Empty(t, f.bus.entries)
		})
	}
	public := settings()
	public.AllowPublic = true
	f := newFixture(t, public)
	assert.Equal(t, http.StatusAccepted, f.deliver(t, delivery{body: from("my-org/app", false)}).status)
}

func TestHandler_RoutesJobs(t *testing.T) {
	const (
		uncovered = webhookcontract.MetricUncoveredJobs
		hosted    = webhookcontract.MetricGitHubHostedJobs
	)
	long := `"` + strings.Repeat("x", labels.MaxLength) + `"`
	for name, test := range map[string]struct {
		action string
		labels string
		fleet  string
		reason string
		metric string
		status int
		shown  string
	}{
		"covered":              {"queued", `"self-hosted","X64","linux"`, "linux-x64", "", "", 202, ""},
		"covered by the first": {"queued", `"self-hosted"`, "linux-arm64", "", "", 202, ""},
		"completed":            {"completed", `"x64"`, "linux-x64", "", "", 202, ""},
		"uncovered": {
			"queued", `"self-hosted","Windows"`, "",
			`no fleet covers the labels: fleet "linux-arm64" lacks: windows`, uncovered, 202, "self-hosted,windows",
		},
		"uncovered, completed": {
			"completed", `"linux","self-hosted","windows"`, "",
			`no fleet covers the labels: fleet "linux-arm64" lacks: windows`, "", 202, "linux,self-hosted,windows",
		},
		"another is nearer": {
			"queued", `"gpu","large","x64"`, "",
			`no fleet covers the labels: fleet "linux-x64" lacks: gpu,large`, uncovered, 202, "gpu,large,x64",
		},
		"GitHub-hosted": {
			"queued", `"ubuntu-latest"`, "", "the labels are those of a GitHub-hosted runner",
			hosted, 202, "ubuntu-latest",
		},
		"GitHub-hosted, waiting": {
			"waiting", `"ubuntu-latest"`, "", "the labels are those of a GitHub-hosted runner",
			"", 202, "ubuntu-latest",
		},
		"no labels":            {"queued", ``, "", "job has no labels", uncovered, 200, ""},
		"no labels, completed": {"completed", ``, "", "job has no labels", "", 200, ""},
		"too long": {
			"queued", `"x64",` + long, "", "labels are longer than those of any fleet",
			uncovered, 200, "x64," + strings.Repeat("x", 64) + "…",
		},
		"long only by repetition": {"queued", `"x64"` + strings.Repeat(`,"X64"`, 2000), "linux-x64", "", "", 202, ""},
		"of a public-looking letter": {
			"queued", `"\u212a"`, "", `no fleet covers the labels: fleet "linux-arm64" lacks: "\u212a"`,
			uncovered, 202, `"\u212a"`,
		},
		"with an end of a line": {
			"queued", `"a\n{\"level\":\"ERROR\"}"`, "",
			`no fleet covers the labels: fleet "linux-arm64" lacks: "a\n{\"level\":\"error\"}"`,
			uncovered, 202, `"a\n{\"level\":\"error\"}"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			a := f.deliver(t, delivery{body: jobPayload(test.action, `{"id":1,"labels":[`+test.labels+`]}`)})
			assert.Equal(t, test.status, a.status)
			assert.Equal(t, test.fleet, a.fleet)
			assert.Equal(t, test.reason, a.reason)
			assert.Equal(t, test.shown, a.labels, "who looks at the delivery must see what the job has asked for")
			if test.shown != "" {
				assert.Equal(t, test.shown, a.log["labels"])
			}
			if test.reason != "" {
				assert.Equal(t, test.reason, a.log["reason"])
			}
			for _, metric := range []string{uncovered, hosted} {
				if metric == test.metric {
					assert.EqualValues(t, 1, a.metrics[metric])
				} else {
					assert.NotContains(t, a.metrics, metric, "a job is counted once, when it is queued")
				}
			}
			assert.Equal(t, test.status == 202, len(f.bus.entries) == 1)
		})
	}
}

// Whoever has kept a delivery can send it again forever: its signature stays valid.
func TestHandler_StartsNothingForAKeptDelivery(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) string { return `"` + now.Add(-d).UTC().Format(time.RFC3339) + `"` }
	for name, test := range map[string]struct {
		action           string
		created, started string
		stale            bool
	}{
		"just queued":                  {"queued", at(time.Second), at(time.Second), false},
		"a day old":                    {"queued", at(25*time.Hour - time.Minute), "null", false},
		"older":                        {"queued", at(25*time.Hour + time.Minute), "null", true},
		"much older":                   {"queued", at(9000 * time.Hour), at(9000 * time.Hour), true},
		"queued after its approval":    {"queued", at(72 * time.Hour), at(time.Minute), false},
		"of tomorrow":                  {"queued", at(-24 * time.Hour), "null", false},
		"of another zone":              {"queued", `"2001-01-01T00:00:00+14:00"`, "null", true},
		"without a time":               {"queued", "null", "null", false},
		"with something else for time": {"queued", `{"a":1}`, `"yesterday"`, false},
		"completed":                    {"completed", at(72 * time.Hour), at(71 * time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			a := f.deliver(t, delivery{body: jobPayload(test.action, `{"id":1,"labels":["self-hosted"],"created_at":`+
				test.created+`,"started_at":`+test.started+`}`)})
			assert.Equal(t, http.StatusAccepted, a.status)
			require.Len(t, f.bus.entries, 1, "who repairs must be able to see it")
			if !test.stale {
				assert.Equal(t, "linux-arm64", a.fleet)
				assert.NotContains(t, a.metrics, webhookcontract.MetricStaleJobs)
				return
			}
			assert.Empty(t, a.fleet)
			assert.Equal(t, "job was queued more than 25 hours ago", a.reason)
			assert.Equal(t, a.reason, a.log["reason"])
			assert.EqualValues(t, 1, a.metrics[webhookcontract.MetricStaleJobs])
			assert.NotContains(t, a.metrics, webhookcontract.MetricUncoveredJobs)
			assert.NotContains(t, *f.bus.entries[0].Detail, `"fleet"`, "a rule would start a task")
		})
	}
}

// An approval can take a month. No payload of a job queued after one is published, so
// its times count for nothing.
func TestHandler_AJobWithAnEnvironmentIsNeverStale(t *testing.T) {
	f := newFixture(t, settings())
	body := jobPayload("queued", `{"id":1,"labels":["self-hosted"],"created_at":"2001-01-01T00:00:00Z"}`)
	a := f.deliver(t, delivery{body: `{"deployment":{"id":1},` + strings.TrimPrefix(body, "{")})
	assert.Equal(t, http.StatusAccepted, a.status)
	assert.Equal(t, "linux-arm64", a.fleet)
	assert.NotContains(t, a.metrics, webhookcontract.MetricStaleJobs)
}

func TestHandler_WithoutAFleetTheAnswerSaysSo(t *testing.T) {
	none := settings()
	none.Routes = nil
	a := newFixture(t, none).deliver(t, delivery{body: usualPayload()})
	assert.Equal(t, "no fleet covers the labels: there is no fleet", a.reason)
	assert.Equal(t, "linux,self-hosted,x64", a.labels)
}

func TestHandler_PutsThePayloadOnTheBusWithDispatchInFront(t *testing.T) {
	f := newFixture(t, settings())
	body := " \n{ \"action\" : \"queued\" , \"workflow_job\" : " + usualJob +
		", \"n\": 1.50E+2, \"u\": \"\\u00e9é\\/\", \"repository\": {\"full_name\":\"My-Org/app\",\"private\":true} }\r\n"
	a := f.deliver(t, delivery{body: body, headers: map[string]string{
		"content-type": "application/json; charset=utf-8", "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793",
	}})
	require.Equal(t, http.StatusAccepted, a.status)
	assert.JSONEq(t, `{"outcome":"accepted","event":"workflow_job","action":"queued","fleet":"linux-x64"}`, a.body)
	require.Len(t, f.bus.entries, 1)
	entry := f.bus.entries[0]
	assert.Equal(t, "runners", *entry.EventBusName)
	assert.Equal(t, "github.com", *entry.Source)
	assert.Equal(t, "workflow_job", *entry.DetailType)
	assert.Equal(t, "Root=1-5759e988-bd862e3fe1be46a994272793", *entry.TraceHeader)
	assert.NotNil(t, entry.Time)
	const dispatch = `"dispatch":{"fleet":"linux-x64","job_id":"29679449526","repository":"My-Org/app",` +
		`"labels":"linux,self-hosted,x64","delivery_id":"` + deliveryID + `","attempt":"1"},`
	assert.Equal(t, " \n{"+dispatch+body[3:], *entry.Detail)

	assert.Equal(t, map[string]any{
		"time": a.log["time"], "level": "INFO", "msg": "delivery", "duration_ms": a.log["duration_ms"],
		"outcome": "accepted", "status": 202.0, "delivery_id": deliveryID, "event": "workflow_job", "action": "queued",
		"repository": "My-Org/app", "job_id": "29679449526", "fleet": "linux-x64",
	}, a.log)
}

func TestHandler_PutsOtherEventsOnTheBusUnchanged(t *testing.T) {
	all := settings()
	all.Events = []string{webhookcontract.AllEvents}
	f := newFixture(t, all)
	body := ` {"ref":"main","repository":{"full_name":"my-org/app","private":true}} `
	a := f.deliver(t, delivery{event: "push", body: body, headers: map[string]string{
		"x-amzn-trace-id": "Root=1-" + strings.Repeat("0", 500), // more than the bus takes
	}})
	assert.JSONEq(t, `{"outcome":"accepted","event":"push"}`, a.body)
	require.Len(t, f.bus.entries, 1)
	assert.Equal(t, "push", *f.bus.entries[0].DetailType)
	assert.Equal(t, body, *f.bus.entries[0].Detail)
	assert.Nil(t, f.bus.entries[0].TraceHeader)
}

// Only downstream can a repetition be told from a redelivery somebody asked for.
func TestHandler_PassesDuplicatesOn(t *testing.T) {
	f := newFixture(t, settings())
	for range 2 {
		assert.Equal(t, http.StatusAccepted, f.deliver(t, delivery{body: usualPayload()}).status)
	}
	assert.Len(t, f.bus.entries, 2)
}

func TestHandler_ReducesWhatIsTooLargeForTheBus(t *testing.T) {
	fill := func(size int) string {
		body := jobPayload("queued", `{"id":1,"run_id":7,"status":"queued","conclusion":null,"labels":["x64"],"name":"`+
			strings.Repeat("n", 2000)+`","steps":["FILL"]}`)
		return strings.Replace(body, "FILL", strings.Repeat("x", size-len(body)+4), 1)
	}
	const limit = 1_000_000
	overhead := len("github.com"+"workflow_job") + 14
	f := newFixture(t, settings())
	f.deliver(t, delivery{body: fill(5000)})
	dispatch := len(*f.bus.entries[0].Detail) - 5000
	for name, test := range map[string]struct {
		size    int
		reduced bool
	}{
		"largest that fits": {limit - overhead - dispatch, false},
		"one byte more":     {limit - overhead - dispatch + 1, true},
		"six megabytes":     {6 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			body := fill(test.size)
			require.Len(t, body, test.size)
			a := f.deliver(t, delivery{body: body})
			require.Equal(t, http.StatusAccepted, a.status)
			require.Equal(t, "linux-x64", a.fleet)
			require.Len(t, f.bus.entries, 1)
			detail := *f.bus.entries[0].Detail
			if !test.reduced {
				require.Len(t, detail, test.size+dispatch)
				return
			}
			assert.Equal(t, true, a.log["reduced"])
			assert.JSONEq(t, `{
				"dispatch": {"fleet":"linux-x64","job_id":"1","repository":"my-org/app","labels":"x64","delivery_id":"`+deliveryID+
				`","attempt":"1"},
				"reduced": true,
				"action": "queued",
				"workflow_job": {"id":1,"run_id":7,"status":"queued","conclusion":null},
				"repository": {"id":1,"full_name":"my-org/app","private":true},
				"organization": {"login":"my-org"},
				"installation": {"id":2}
			}`, detail)
		})
	}
}

// The action of a repository_dispatch is whatever its sender has chosen.
func TestHandler_ActionsOfAnotherFormAreNotLogged(t *testing.T) {
	all := settings()
	all.Events = []string{webhookcontract.AllEvents}
	f := newFixture(t, all)
	a := f.deliver(t, delivery{event: "repository_dispatch", body: `{"action":"` + payloadMarker +
		`","repository":{"full_name":"my-org/app","private":true}}`})
	assert.Equal(t, http.StatusAccepted, a.status)
	assert.NotContains(t, a.log, "action")
	assert.NotContains(t, a.body, payloadMarker)
}

func TestHandler_ReducesOtherEventsToo(t *testing.T) {
	all := settings()
	all.Events = []string{webhookcontract.AllEvents}
	f := newFixture(t, all)
	body := `{"ref":"` + strings.Repeat("x", 1<<20) + `","action":"` + strings.Repeat("y", 2000) +
		`","repository":{"full_name":"my-org/app","private":true}}`
	a := f.send(t, delivery{event: "push", body: body}.request())
	require.Equal(t, http.StatusAccepted, a.status)
	require.Len(t, f.bus.entries, 1)
	assert.JSONEq(t, `{"reduced":true,"repository":{"full_name":"my-org/app","private":true}}`, *f.bus.entries[0].Detail)
}

// A reader that ignores case, as encoding/json does, and one that does not must
// find the same dispatch.
func TestHandler_DispatchIsTheOneEveryReaderFinds(t *testing.T) {
	f := newFixture(t, settings())
	f.deliver(t, delivery{body: usualPayload()})
	var lenient struct{ Dispatch contract.Dispatch }
	require.NoError(t, json.Unmarshal([]byte(*f.bus.entries[0].Detail), &lenient))
	assert.Equal(t, "linux-x64", lenient.Dispatch.Fleet)
}
