package imagebuild

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"
)

// maxCause is how much of CodeBuild's own words is repeated.
const maxCause = 500

// failure says why a build that has ended has failed and where its log is, or
// nothing when it has not.
func failure(build types.Build) string {
	if build.BuildStatus == types.StatusTypeSucceeded {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "building the runner image with project %s ended with %s", aws.ToString(build.ProjectName), build.BuildStatus)
	for _, phase := range build.Phases {
		if phase.PhaseStatus == "" || phase.PhaseStatus == types.StatusTypeSucceeded {
			continue
		}
		fmt.Fprintf(&text, " in phase %s", phase.PhaseType)
		if cause := cause(phase); cause != "" {
			fmt.Fprintf(&text, " (%s)", clip(cause, maxCause))
		}
		break
	}
	fmt.Fprintf(&text, "; its log: %s", logLink(build))
	return text.String()
}

func cause(phase types.BuildPhase) string {
	var causes []string
	for _, context := range phase.Contexts {
		cause := strings.Trim(aws.ToString(context.StatusCode)+": "+aws.ToString(context.Message), ": ")
		if cause != "" {
			causes = append(causes, cause)
		}
	}
	return strings.Join(causes, "; ")
}

// logLink is the log in the console; the build itself where there is no log yet.
func logLink(build types.Build) string {
	if build.Logs != nil && aws.ToString(build.Logs.StreamName) != "" && aws.ToString(build.Logs.DeepLink) != "" {
		return *build.Logs.DeepLink
	}
	return "none; the build is " + aws.ToString(build.Id)
}

// clip shortens a text, between characters.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const mark = "…"
	text = text[:most-len(mark)]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + mark
}
