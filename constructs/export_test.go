package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/constructs-go/constructs/v10"
)

// Warnings gives tests the warnings about a capacity, each after its id.
func Warnings(p RunnerCapacityProps) []string {
	var found []string
	for _, w := range p.warnings() {
		found = append(found, w.id+": "+w.message)
	}
	return found
}

// FleetWarnings gives tests the warnings about a fleet in a placement.
func FleetWarnings(p RunnerFleetProps, place Placement) []string {
	var found []string
	for _, w := range p.warningsIn(place) {
		found = append(found, w.id+": "+w.message)
	}
	return found
}

// IngressWarnings gives tests the warnings about an ingress.
func IngressWarnings(p WebhookIngressProps) []string {
	var found []string
	for _, w := range p.warnings() {
		found = append(found, w.id+": "+w.message)
	}
	return found
}

// ChecksDaily gives tests what decides on an alarm.
func ChecksDaily(p RunnerImagePipelineProps) bool { return p.checksDaily() }

// BindImage gives tests what a fleet gets of an image.
func BindImage(image RunnerImage, scope constructs.Construct, architecture Architecture) awsecs.ContainerImage {
	return image.bind(scope, architecture)
}

// SupportsArchitecture gives tests what a fleet asks an image.
func SupportsArchitecture(image RunnerImage, architecture Architecture) bool {
	return image.supports(architecture)
}

// AddRoute gives tests the part of AddFleet that needs no fleet.
func AddRoute(ingress *WebhookIngress, fleet string, labels []string) {
	ingress.addRoute(fleet, labels)
}

// OutcomeNames gives tests the names of outcomes.
func OutcomeNames[T DeliveryOutcome | RegistrationOutcome](outcomes []T) []string {
	names := make([]string, len(outcomes))
	for i, outcome := range outcomes {
		names[i] = struct{ name string }(outcome).name
	}
	return names
}

// RemoveEmptyAssets gives tests what happens before a program is built.
var RemoveEmptyAssets = removeEmptyAssets
