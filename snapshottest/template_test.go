package snapshottest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNormalize_KeepsWhatIsDeployed(t *testing.T) {
	a, b, other := hash("a"), hash("b"), hash("c")
	for name, test := range map[string]struct{ template, want string }{
		"keys are sorted, text is not escaped": {
			`{"Outputs": 1, "Description": "a & b"}`,
			`{"Description": "a & b", "Outputs": 1}`,
		},
		"equal hashes stay equal, different ones different": {
			fmt.Sprintf(`{"A": "%s.zip", "B": "%s", "C": "%s"}`, b, a, b),
			`{"A": "<asset-1>.zip", "B": "<asset-2>", "C": "<asset-1>"}`,
		},
		"hashes of other things stay": {
			fmt.Sprintf(`{"A": "repo@sha256:%s", "B": "%s"}`, other, a),
			fmt.Sprintf(`{"A": "repo@sha256:%s", "B": "<asset-1>"}`, other),
		},
		"what the CDK adds for itself is left out, sections that it leaves empty too": {
			`{"Parameters": {"BootstrapVersion": 1}, "Rules": {"CheckBootstrapVersion": 1}, "Conditions": {"CDKMetadataAvailable": 1},
				"Resources": {"CDKMetadata": {"Type": "AWS::CDK::Metadata"}, "Topic": {"Type": "AWS::SNS::Topic"}}}`,
			`{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}`,
		},
		"other parameters, rules and conditions stay": {
			`{"Parameters": {"BootstrapVersion": 1, "P": 1}, "Rules": {"R": 1}, "Conditions": {"C": 1}}`,
			`{"Conditions": {"C": 1}, "Parameters": {"P": 1}, "Rules": {"R": 1}}`,
		},
	} {
		assert.JSONEq(t, test.want, normalized(t, test.template), name)
	}
	assert.Equal(t, "{\n  \"A\": \"<b>\",\n  \"B\": 1,\n  \"C\": 12345678901234567890\n}\n",
		normalized(t, `{"B": 1, "A": "<b>", "C": 12345678901234567890}`))
}

func normalized(t *testing.T, template string) string {
	t.Helper()
	got, err := normalize([]byte(template), assetIDs{hash("a"): true, hash("b"): true})
	require.NoError(t, err)
	return string(got)
}

func TestNormalize_BreaksTextIntoLines(t *testing.T) {
	got := normalized(t, `{"UserData": ["one\ntwo\n", "three"]}`)
	assert.JSONEq(t, `{"UserData": [{"<lines>": ["one", "two", ""]}, "three"]}`, got,
		"a reviewer has to search a whole script for the change")
}
