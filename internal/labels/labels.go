package labels

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxLength is the most that the labels of a fleet may take, joined by commas.
	MaxLength = 4000
	// MaxCount is the number of labels GitHub accepts for one runner.
	MaxCount = 100
)

var (
	// ErrNoLabels says that a fleet has no labels, so that it would never get a job.
	ErrNoLabels = errors.New("no labels")
	// ErrLabel says that a label has characters a fleet's label cannot have.
	ErrLabel = errors.New("label is not valid")
	// ErrTooManyLabels says that a fleet's labels are more than GitHub accepts.
	ErrTooManyLabels = errors.New("too many labels")
	// ErrLabelsTooLong says that a fleet's labels are too long together.
	ErrLabelsTooLong = errors.New("labels are too long")
)

// Normalize returns labels in lower case, each once, sorted. Only the letters A
// to Z are lowered: labels of fleets have no others, and a rule that folds more
// would make labels equal that GitHub keeps apart.
func Normalize(labels []string) []string {
	normal := make([]string, len(labels))
	for i, label := range labels {
		normal[i] = lower(label)
	}
	slices.Sort(normal)
	return slices.Compact(normal)
}

// Join returns labels as one string: normalized and joined by commas. The result
// can be split again whenever a fleet covers the labels, because a fleet's labels
// contain no commas.
func Join(labels []string) string {
	return strings.Join(Normalize(labels), ",")
}

// Validate checks the labels of a fleet.
func Validate(labels []string) error {
	if len(labels) == 0 {
		return ErrNoLabels
	}
	var errs []error
	for _, label := range labels {
		if !isLabel(label) {
			errs = append(errs, fmt.Errorf("%w: %q, want letters, digits, dots, hyphens and underscores", ErrLabel, label))
		}
	}
	normal := Normalize(labels)
	if n := len(normal); n > MaxCount {
		errs = append(errs, fmt.Errorf("%w: %d, at most %d", ErrTooManyLabels, n, MaxCount))
	}
	if n := len(strings.Join(normal, ",")); n > MaxLength {
		errs = append(errs, fmt.Errorf("%w: %d characters together, at most %d", ErrLabelsTooLong, n, MaxLength))
	}
	return errors.Join(errs...)
}

// Covers reports whether runners with a fleet's labels may run a job: the job asks
// for at least one label, and the fleet has every one, compared without regard to
// case.
func Covers(fleet, job []string) bool {
	for _, wanted := range job {
		wanted = lower(wanted)
		if !slices.ContainsFunc(fleet, func(label string) bool { return lower(label) == wanted }) {
			return false
		}
	}
	return len(job) > 0
}

// Lacking returns the labels of a job that a fleet's do not have, normalized.
func Lacking(fleet, job []string) []string {
	return slices.DeleteFunc(Normalize(job), func(wanted string) bool { return Covers(fleet, []string{wanted}) })
}

const (
	maxShown      = 10
	maxShownLabel = 64
)

// Show returns labels of a job for people to read, normalized and joined by commas.
// Labels that no fleet can have are quoted, long ones and long lists cut off: they
// are what somebody has written into a workflow.
func Show(labels []string) string {
	var shown []string
	for i, label := range Normalize(labels) {
		if i == maxShown {
			shown = append(shown, "…")
			break
		}
		if !isLabel(label) {
			label = strconv.QuoteToASCII(label)
		}
		if len(label) > maxShownLabel {
			label = label[:maxShownLabel] + "…"
		}
		shown = append(shown, label)
	}
	return strings.Join(shown, ",")
}

// GitHubHosted reports whether labels ask for a runner that GitHub operates: all
// of them are of the families GitHub names its images by, such as ubuntu-latest,
// windows-2025 or macos-15-xlarge. The larger runners of an organization carry
// names of its own choice and are not recognized.
func GitHubHosted(labels []string) bool {
	if len(labels) == 0 {
		return false
	}
	for _, label := range labels {
		family, version, ok := strings.Cut(lower(label), "-")
		if !ok || version == "" || family != "ubuntu" && family != "windows" && family != "macos" {
			return false
		}
	}
	return true
}

func isLabel(label string) bool {
	if label == "" {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return strings.Map(func(r rune) rune {
				if 'A' <= r && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, s)
		}
	}
	return s
}
