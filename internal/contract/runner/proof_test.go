package runner_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
)

// AWS's own client calls the same hosts in all partitions.
func TestSTSHost_IsAWSsOwn(t *testing.T) {
	t.Parallel()
	for _, region := range []string{
		"us-east-1", "us-east-2", "eu-central-1", "ap-southeast-4", "il-central-1", "mx-central-1", "us-gov-west-1",
		"cn-north-1", "cn-northwest-1", "us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1",
		"eusc-de-east-1",
	} {
		endpoint, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(),
			sts.EndpointParameters{Region: aws.String(region), UseGlobalEndpoint: aws.Bool(false)})
		require.NoError(t, err)
		assert.Equal(t, endpoint.URI.Host, runnercontract.STSHost(region))
	}
}

func TestProof_HasAForm(t *testing.T) {
	t.Parallel()
	good := runnercontract.Proof{
		AccessKeyID: "ASIAIOSFODNN7EXAMPLE", SessionToken: "IQoJ+/=", Date: "20261127T090000Z",
		Signature: runnercontract.Secret(strings.Repeat("0f", 32)),
	}
	at, ok := good.SignedAt()
	require.True(t, ok)
	assert.Equal(t, "2026-11-27T09:00:00Z", at.Format("2006-01-02T15:04:05Z07:00"))
	for name, spoil := range map[string]func(*runnercontract.Proof){
		"nothing":                   func(p *runnercontract.Proof) { *p = runnercontract.Proof{} },
		"another key in the key id": func(p *runnercontract.Proof) { p.AccessKeyID = "ASIA/20261127/us-east-1" },
		"no token":                  func(p *runnercontract.Proof) { p.SessionToken = "" },
		"a parameter in the token":  func(p *runnercontract.Proof) { p.SessionToken = "a&Action=AssumeRole" },
		"a date that is none":       func(p *runnercontract.Proof) { p.Date = "20261127T090000Z/x" },
		"half a signature":          func(p *runnercontract.Proof) { p.Signature = "0f" },
		"a signature of others":     func(p *runnercontract.Proof) { p.Signature = runnercontract.Secret(strings.Repeat("x", 64)) },
	} {
		bad := good
		spoil(&bad)
		_, ok := bad.SignedAt()
		assert.False(t, ok, name)
	}
}

// The request is what STS has in its documentation, whatever a proof says.
func TestProof_Request(t *testing.T) {
	t.Parallel()
	proof := runnercontract.Proof{AccessKeyID: "ASIA", SessionToken: "to+ken=", Date: "20261127T090000Z", Signature: "00"}
	r := proof.Request("cn-north-1", "abc.example")
	assert.Equal(t, "GET", r.Method)
	assert.Equal(t, "https://sts.cn-north-1.amazonaws.com.cn/?Action=GetCallerIdentity&Version=2011-06-15"+
		"&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIA%2F20261127%2Fcn-north-1%2Fsts%2Faws4_request"+
		"&X-Amz-Date=20261127T090000Z&X-Amz-Expires=300&X-Amz-Security-Token=to%2Bken%3D&X-Amz-Signature=00"+
		"&X-Amz-SignedHeaders=host%3Bx-ecsrunners-registration", r.URL.String())
	assert.Equal(t, "abc.example", r.Header.Get(runnercontract.ProofHeader))
	assert.Nil(t, r.Body)
}
