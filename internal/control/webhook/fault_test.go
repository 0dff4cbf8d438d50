package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
)

// Time in these tests is the time of a synctest bubble: it passes when everybody
// waits, and costs nothing.

func TestFault_SecretIsReplacedBetweenTwoDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, settings())
		require.Equal(t, http.StatusAccepted, f.deliver(t, delivery{body: usualPayload()}).status)
		time.Sleep(time.Minute)

		f.store.secrets["current"] = "another-secret"
		a := f.deliver(t, delivery{body: usualPayload(), secret: "another-secret"})
		require.Equal(t, http.StatusAccepted, a.status, "the new secret counts at once")
		assert.Equal(t, 2, f.store.reads)
		a = f.deliver(t, delivery{body: usualPayload(), secret: currentSecret})
		require.Equal(t, http.StatusUnauthorized, a.status, "the old one no longer")

		// Wrong signatures are no way to make us read secrets.
		for range 50 {
			require.Equal(t, http.StatusUnauthorized, f.deliver(t, delivery{body: usualPayload(), secret: "guess"}).status)
		}
		assert.Equal(t, 2, f.store.reads)
		time.Sleep(10 * time.Second)
		for range 50 {
			require.Equal(t, http.StatusUnauthorized, f.deliver(t, delivery{body: usualPayload(), secret: "guess"}).status)
		}
		assert.Equal(t, 3, f.store.reads)
	})
}

func TestFault_PreviousSecretIsAcceptedWhileSecretsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := settings()
		both.PreviousSecretID = "previous"
		f := newFixture(t, both)
		for _, secret := range []string{currentSecret, previousSecret, currentSecret} {
			assert.Equal(t, http.StatusAccepted, f.deliver(t, delivery{body: usualPayload(), secret: secret}).status)
		}
		assert.Equal(t, http.StatusUnauthorized, f.deliver(t, delivery{body: usualPayload(), secret: "guess"}).status)

		delete(f.store.secrets, "previous")
		time.Sleep(webhookcontract.DefaultSecretTTL)
		assert.Equal(t, http.StatusAccepted, f.deliver(t, delivery{body: usualPayload()}).status,
			"one secret is enough if it fits")
		a := f.deliver(t, delivery{body: usualPayload(), secret: previousSecret})
		assert.Equal(t, http.StatusServiceUnavailable, a.status, "nobody can tell whether it would have fitted")
	})
	assert.Equal(t, http.StatusUnauthorized, newFixture(t, settings()).deliver(t, delivery{
		body:   usualPayload(),
		secret: previousSecret,
	}).status)
}

func TestFault_SecretsManagerIsDownAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, settings())
		f.store.err = errors.New("secrets manager is down")
		for range 3 {
			a := f.deliver(t, delivery{body: usualPayload()})
			require.Equal(t, http.StatusServiceUnavailable, a.status)
			require.Equal(t, webhookcontract.OutcomeUnavailable, a.outcome)
			assert.JSONEq(t, `{"outcome":"unavailable"}`, a.body)
			assert.Equal(t, "ERROR", a.log["level"])
			assert.Contains(t, a.log["error"], "secrets manager is down")
			assert.NotEmpty(t, a.log["delivery_id"], "nobody would know which delivery to ask for again")
		}
		f.store.err = nil
		assert.Equal(t, http.StatusAccepted, f.deliver(t, delivery{body: usualPayload()}).status,
			"the first delivery after that is accepted")
	})
}

func TestFault_SecretsManagerIsDownWhenASignatureDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, settings())
		f.deliver(t, delivery{body: usualPayload()})
		time.Sleep(time.Minute)
		f.store.err = errors.New("secrets manager is down")
		a := f.deliver(t, delivery{body: usualPayload(), secret: "guess"})
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.Contains(t, a.log["error"], "secrets manager is down")
		assert.Equal(t, http.StatusAccepted, f.deliver(t, delivery{body: usualPayload()}).status,
			"the value at hand is still good")
	})
}

func TestFault_EmptySecretLetsNobodyIn(t *testing.T) {
	f := newFixture(t, settings())
	f.store.secrets["current"] = ""
	for _, headers := range []map[string]string{nil, {"x-hub-signature-256": sign("", usualPayload())}} {
		a := f.deliver(t, delivery{body: usualPayload(), headers: headers})
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.Empty(t, f.bus.entries)
	}
}

// refusal is an answer of EventBridge with an error. Like the real ones, its
// message quotes what it refuses.
func refusal(status int, code string) error {
	return &awshttp.ResponseError{
		RequestID: "request-1",
		ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
			Err:      &smithy.GenericAPIError{Code: code, Message: "Value '[" + payloadMarker + "]' at 'entries'"},
		},
	}
}

// answers returns a put function that gives these results, and success after them.
func answers(results ...any) func(context.Context, int, types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput,
	error) {
	return func(_ context.Context, call int, _ types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput, error) {
		if call > len(results) {
			return success(), nil
		}
		switch result := results[call-1].(type) {
		case error:
			return nil, result
		case *eventbridge.PutEventsOutput:
			return result, nil
		}
		panic("no result")
	}
}

func TestFault_BusRecoversInTime(t *testing.T) {
	for name, result := range map[string]any{
		"throttled":          refusal(http.StatusBadRequest, "ThrottlingException"),
		"too many requests":  refusal(http.StatusTooManyRequests, "TooManyRequests"),
		"internal error":     refusal(http.StatusInternalServerError, "InternalException"),
		"unavailable":        refusal(http.StatusServiceUnavailable, "ServiceUnavailable"),
		"bad gateway":        refusal(http.StatusBadGateway, "Unknown"),
		"connection refused": errors.New("dial tcp: connection refused"),
		"entry throttled":    failedEntry("ThrottlingException"),
		"entry failed":       failedEntry("InternalFailure"),
		"entry without code": &eventbridge.PutEventsOutput{FailedEntryCount: 1, Entries: []types.PutEventsResultEntry{{}}},
		"entry without id":   &eventbridge.PutEventsOutput{Entries: []types.PutEventsResultEntry{{}}},
		"no entries":         &eventbridge.PutEventsOutput{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, settings())
				f.bus.put = answers(result, result, result)
				begin := time.Now()
				a := f.deliver(t, delivery{body: usualPayload()})
				assert.Equal(t, http.StatusAccepted, a.status)
				assert.Equal(t, 4, f.bus.calls)
				assert.EqualValues(t, 3, a.metrics[webhookcontract.MetricPutFailures])
				assert.EqualValues(t, 3, a.log["put_failures"])
				assert.Equal(t, 350*time.Millisecond, time.Since(begin), "50, 100 and 200 ms between the attempts")
			})
		})
	}
}

func TestFault_BusStaysDown(t *testing.T) {
	for name, result := range map[string]any{
		"throttled":      refusal(http.StatusBadRequest, "ThrottlingException"),
		"internal error": refusal(http.StatusInternalServerError, "InternalException"),
		"entry failed":   failedEntry("InternalFailure"),
		"out of reach":   errors.New("dial tcp: InternalFailure of some sort"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, settings())
				f.bus.put = func(ctx context.Context, _ int, e types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput, error) {
					return answers(result)(ctx, 1, e)
				}
				begin := time.Now()
				a := f.deliver(t, delivery{body: usualPayload()})
				assert.Equal(t, http.StatusServiceUnavailable, a.status)
				assert.JSONEq(t, `{"outcome":"unavailable","event":"workflow_job","action":"queued","fleet":"linux-x64"}`, a.body)
				assert.LessOrEqual(t, time.Since(begin), 8*time.Second, "GitHub stops waiting after ten seconds")
				assert.Greater(t, time.Since(begin), 7*time.Second, "a job is lost that some patience would have saved")
				assert.EqualValues(t, f.bus.calls, a.metrics[webhookcontract.MetricPutFailures])
				assert.Regexp(t, "ThrottlingException|InternalException|InternalFailure", a.log["error"],
					"an operator learns the reason")
			})
		})
	}
}

func TestFault_BusIsSlow(t *testing.T) {
	hang := func(ctx context.Context, _ int, _ types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput, error) {
		<-ctx.Done()
		return nil, &aws.RequestCanceledError{Err: ctx.Err()}
	}
	t.Run("forever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, settings())
			f.bus.put = hang
			begin := time.Now()
			a := f.deliver(t, delivery{body: usualPayload()})
			assert.Equal(t, http.StatusServiceUnavailable, a.status)
			assert.LessOrEqual(t, time.Since(begin), 8*time.Second)
			assert.Equal(t, 4, f.bus.calls)
		})
	})
	t.Run("once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, settings())
			f.bus.put = func(ctx context.Context, call int, e types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput,
				error,
			) {
				if call > 1 {
					return success(), nil
				}
				return hang(ctx, call, e)
			}
			a := f.deliver(t, delivery{body: usualPayload()})
			assert.Equal(t, http.StatusAccepted, a.status, "one attempt that hangs does not use up all the time")
			assert.Equal(t, 2, f.bus.calls)
		})
	})
}

func TestFault_BusRefusesForGood(t *testing.T) {
	for name, result := range map[string]any{
		"access denied":      refusal(http.StatusBadRequest, "AccessDeniedException"),
		"no such bus":        refusal(http.StatusBadRequest, "ResourceNotFoundException"),
		"invalid":            refusal(http.StatusBadRequest, "ValidationException"),
		"malformed detail":   failedEntry("MalformedDetail"),
		"source not allowed": failedEntry("NotAuthorizedForSourceException"),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			f.bus.put = answers(result)
			a := f.deliver(t, delivery{body: usualPayload()})
			assert.Equal(t, http.StatusServiceUnavailable, a.status)
			assert.Equal(t, 1, f.bus.calls, "asking again changes nothing")
			assert.EqualValues(t, 1, a.metrics[webhookcontract.MetricPutFailures])
		})
	}
}

// Where the limit of the bus is still the old one, it refuses what we think fits.
func TestFault_BusHasALowerLimit(t *testing.T) {
	for name, result := range map[string]any{
		"validation": refusal(http.StatusBadRequest, "ValidationException"),
		"too large":  refusal(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge"),
		"entry":      failedEntry("InvalidArgument"),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			f.bus.put = func(ctx context.Context, _ int, e types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput, error) {
				if len(*e.Detail) > 256*1024 {
					return answers(result)(ctx, 1, e)
				}
				return success(), nil
			}
			body := strings.Replace(usualPayload(), payloadMarker, strings.Repeat("x", 300_000), 1)
			a := f.deliver(t, delivery{body: body})
			assert.Equal(t, http.StatusAccepted, a.status)
			require.Len(t, f.bus.entries, 1)
			assert.Contains(t, *f.bus.entries[0].Detail, `"reduced":true`)
			assert.Contains(t, *f.bus.entries[0].Detail, `"fleet":"linux-x64"`)
		})
	}
}

func TestFault_LargeBodies(t *testing.T) {
	for megabytes, status := range map[int]int{
		1: http.StatusAccepted, 6: http.StatusAccepted,
		7: http.StatusRequestEntityTooLarge,
	} {
		t.Run(fmt.Sprint(megabytes, " MB"), func(t *testing.T) {
			f := newFixture(t, settings())
			size := megabytes<<20 - len(usualPayload()) + len(payloadMarker)
			body := strings.Replace(usualPayload(), payloadMarker, strings.Repeat("x", size), 1)
			require.Len(t, body, megabytes<<20)
			a := f.deliver(t, delivery{body: body})
			assert.Equal(t, status, a.status)
			if status == http.StatusAccepted {
				require.Len(t, f.bus.entries, 1)
				assert.Contains(t, *f.bus.entries[0].Detail, `"job_id":"29679449526"`, "the job is dispatched all the same")
			}
		})
	}
}

func TestFault_ThousandDeliveriesAtATime(t *testing.T) {
	f := newFixture(t, settings())
	const n = 1000
	f.bus.put = func(_ context.Context, call int, _ types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput, error) {
		if call%10 == 0 {
			return nil, refusal(http.StatusBadRequest, "ThrottlingException")
		}
		return success(), nil
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			body := strings.Replace(usualPayload(), "29679449526", fmt.Sprint(i+1), 1)
			assert.Equal(t, http.StatusAccepted, f.send(t, delivery{body: body}.request()).status)
		})
	}
	all.Wait()
	jobs := make(map[string]bool)
	for _, entry := range f.bus.entries {
		_, rest, _ := strings.Cut(*entry.Detail, `"job_id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		jobs[id] = true
	}
	assert.Len(t, jobs, n, "jobs are lost, or their dispatches mixed up")
	assert.Equal(t, 1, f.store.reads, "one reading of the secret serves all")
	written := f.output.take()
	assert.Equal(t, 2*n, strings.Count(written, "\n"))
	for line := range strings.Lines(written) {
		requireNoLeak(t, line, delivery{}.request(), "")
	}
}

func TestFault_PanicIsAnsweredAndLogged(t *testing.T) {
	for name, test := range map[string]struct {
		value any
		want  string
	}{
		"of the runtime": {nil, "nil pointer"},
		"of a value":     {payloadMarker, "value of type string"},
		"of an error":    {errors.New(payloadMarker), "*errors.errorString"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, settings())
			f.bus.put = func(context.Context, int, types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput, error) {
				if test.value == nil {
					var entry *types.PutEventsRequestEntry
					return nil, errors.New(*entry.Detail)
				}
				panic(test.value)
			}
			a := f.deliver(t, delivery{body: usualPayload()})
			assert.Equal(t, http.StatusInternalServerError, a.status)
			assert.Equal(t, webhookcontract.OutcomeFailed, a.outcome)
			assert.Contains(t, a.log["error"], test.want)
			assert.Contains(t, a.log["stack"], "fault_test.go", "the log says where it happened")
			assert.NotContains(t, a.body, "panic")

			f.bus.put = nil
			assert.Equal(t, http.StatusAccepted, f.deliver(t, delivery{body: usualPayload()}).status,
				"the next delivery is not affected")
		})
	}
}
