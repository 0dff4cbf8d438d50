package instancetype_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecs-github-runners/ecsrunners/internal/instancetype"
)

func TestSizeOf(t *testing.T) {
	t.Parallel()
	for instanceType, want := range map[string]instancetype.Size{
		"t2.nano": {1, 512}, "t2.micro": {1, 1024}, "t2.small": {1, 2048}, "t2.medium": {2, 4096}, "t2.large": {2, 8192},
		"t2.xlarge": {4, 16384}, "t2.2xlarge": {8, 32768},
		"t3.nano": {2, 512}, "t3.micro": {2, 1024}, "t3a.small": {2, 2048}, "t3.medium": {2, 4096}, "t3.2xlarge": {8, 32768},
		"t4g.nano": {2, 512}, "t4g.large": {2, 8192}, "t4g.xlarge": {4, 16384},
		"m5.large": {2, 8192}, "m5zn.3xlarge": {12, 49152}, "m6g.medium": {1, 4096}, "m6i.large": {2, 8192},
		"m7i-flex.large": {2, 8192},
		"m7i.4xlarge":    {16, 65536}, "m8g.48xlarge": {192, 786432}, "m8gd.xlarge": {4, 16384},
		"c5.large": {2, 4096}, "c5ad.large": {2, 4096}, "c6gn.medium": {1, 2048}, "c7gn.large": {2, 4096},
		"c7i-flex.8xlarge": {32, 65536}, "c8g.24xlarge": {96, 196608},
		"r5b.large": {2, 16384}, "r7iz.xlarge": {4, 32768}, "r8g.medium": {1, 8192},
		"m12x.large": {2, 8192}, // a generation to come
	} {
		size, known := instancetype.SizeOf(instanceType)
		assert.Truef(t, known, "%s", instanceType)
		assert.Equalf(t, want, size, "%s", instanceType)
	}
}

func TestSizeOf_KnowsOnlyWhatFollowsTheRule(t *testing.T) {
	t.Parallel()
	for _, instanceType := range []string{
		"c5n.large", "c5n.18xlarge", // 5.25 GiB
		"c4.large", "m4.large", "r4.large", "t1.micro", // before the rule
		"m5.metal", "m7g.metal", "c7i.metal-24xl", "m8g.metal-48xl", // bare metal
		"t3.4xlarge", "t3.metal", // no such size
		"i4i.large", "is4gen.large", "x2gd.medium", "g4dn.xlarge", "g5g.xlarge", "gr6.4xlarge", "p5.48xlarge",
		"hpc7g.4xlarge", "z1d.large",
		"a1.medium", "u-6tb1.56xlarge", "u7i-12tb.224xlarge", "mac2-m2.metal", "inf2.xlarge", "trn1n.32xlarge",
		"m7i.bigxlarge", "m99999999999999999999.large", "m7i", "large", "m.large", "7i.large", "M7I.LARGE", "m7i.large ", "",
	} {
		size, known := instancetype.SizeOf(instanceType)
		assert.Falsef(t, known, "%s", instanceType)
		assert.Zerof(t, size, "%s", instanceType)
	}
}

func TestArchitectureOf(t *testing.T) {
	t.Parallel()
	for architecture, instanceTypes := range map[string][]string{
		"x64": {
			"t2.micro", "t3.micro", "t3a.micro", "m7i-flex.large", "m6i.large", "m7a.large", "m5zn.large", "c5n.large",
			"c7i.metal-24xl", "r8i.large",
			"g4dn.xlarge", "g4ad.xlarge", "g5.xlarge", "g6.xlarge", "gr6.4xlarge", "p5.48xlarge", "i7ie.large", "x2iedn.xlarge",
			"u-6tb1.56xlarge", "u-24tb1.112xlarge", "u7i-12tb.224xlarge", "inf2.xlarge", "trn1n.32xlarge", "hpc6id.32xlarge",
			"vt1.3xlarge",
		},
		"arm64": {
			"a1.medium", "t4g.nano", "m6g.large", "m7gd.large", "m8g.metal-48xl", "c6gn.large", "c7gn.large", "r8g.large",
			"g5g.xlarge", "is4gen.large", "im4gn.large", "i8g.large", "x2gd.medium", "hpc7g.4xlarge", "p6e-gb200.36xlarge",
		},
	} {
		for _, instanceType := range instanceTypes {
			got, known := instancetype.ArchitectureOf(instanceType)
			assert.Truef(t, known, "%s", instanceType)
			assert.Equalf(t, architecture, got, "%s", instanceType)
		}
	}
	for _, text := range []string{
		"", "m7i", "large", "m7i.", ".large", "m.large", "M7I.large", "m7i large",
		"m7i.large.large", "m7i.large\n",
	} {
		got, known := instancetype.ArchitectureOf(text)
		assert.Falsef(t, known, "%q", text)
		assert.Emptyf(t, got, "%q", text)
	}
}

func TestSize_String(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "2 vCPU, 8 GiB", instancetype.Size{VCPU: 2, MemoryMiB: 8192}.String())
	assert.Equal(t, "2 vCPU, 0.5 GiB", instancetype.Size{VCPU: 2, MemoryMiB: 512}.String())
}
