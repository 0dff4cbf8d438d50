package lambdatest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

// StartMoto starts moto, an emulator of AWS services, for the time of a test, and
// returns its address. It needs the command moto_server.
func StartMoto(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	command := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
	require.NoError(t, command.Start(), "these tests need moto_server, from the Python package moto[server]")
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	url := "http://" + address
	require.Eventually(t, func() bool {
		response, err := http.Get(url + "/moto-api/")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	}, time.Minute, 100*time.Millisecond, "moto_server does not answer")
	return url
}

// EmulatedDynamoDB is DynamoDBAt of an emulator of its own.
func EmulatedDynamoDB(t testing.TB) *dynamodb.Client {
	t.Helper()
	return DynamoDBAt(t, StartMoto(t))
}

// DynamoDBAt is a client of an emulator, which gets one request at a time: DynamoDB
// carries out each as one step, the emulator's threads do not.
func DynamoDBAt(t testing.TB, moto string) *dynamodb.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(),
		config.WithRegion("eu-central-1"),
		config.WithBaseEndpoint(moto),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	require.NoError(t, err)
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.HTTPClient = &http.Client{Transport: &oneByOne{next: &http.Transport{}}} })
}

// oneByOne waits for the whole answer before the next request. Its transport is its
// own: the end of any httptest.Server closes connections of the default one.
type oneByOne struct {
	mu   sync.Mutex
	next http.RoundTripper
}

func (o *oneByOne) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	response, err := o.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// NewLedgerTable makes a table like the construct's.
func NewLedgerTable(t testing.TB, db *dynamodb.Client, name string) {
	t.Helper()
	attribute := func(name string, of types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: of}
	}
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			attribute(registrationcontract.LedgerKey, types.ScalarAttributeTypeS), attribute(registrationcontract.LedgerFleetState, types.ScalarAttributeTypeS), attribute(registrationcontract.LedgerQueuedAt, types.ScalarAttributeTypeN),
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String(registrationcontract.LedgerKey), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String(registrationcontract.LedgerIndex), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
			KeySchema: []types.KeySchemaElement{
				{AttributeName: aws.String(registrationcontract.LedgerFleetState), KeyType: types.KeyTypeHash},
				{AttributeName: aws.String(registrationcontract.LedgerQueuedAt), KeyType: types.KeyTypeRange},
			},
		}},
	})
	require.NoError(t, err)
}
