package stacks

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// A setting that does not reach the props, or reaches another's place, would be
// documented, accepted and without effect.
func TestProps_NoSettingIsLost(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings any
		props    func(settings any) any
		// Settings that are not one prop, and props that only code can give.
		otherwise map[string]string
	}{
		{
			name:     "cluster",
			settings: &settings.Cluster{},
			props:    func(s any) any { return *clusterProps(*s.(*settings.Cluster)) },
			otherwise: map[string]string{
				"Capacities":                   "added one by one, see TestRunnersStack_Snapshots",
				"VPC":                          "made of the configuration's vpc",
				"Subnets":                      "made of the configuration's vpc",
				"SecurityGroup":                "a construct",
				"InstanceRole":                 "a construct",
				"DefaultCapacity.MachineImage": "a construct",
				"DefaultCapacity.UpdatePolicy": "a construct",
			},
		},
		{
			name:     "capacity",
			settings: &settings.Capacity{},
			props:    func(s any) any { return *capacityProps(*s.(*settings.Capacity)) },
			otherwise: map[string]string{
				"MachineImage": "a construct",
				"UpdatePolicy": "a construct",
			},
		},
		{
			name:     "image",
			settings: &settings.Image{},
			props:    func(s any) any { return *imageProps(*s.(*settings.Image)) },
			otherwise: map[string]string{
				"Source":                           "a construct, see TestRunnerImageStack_TakesItsSourceFromTheConfiguration",
				"Source.CodeCommit.RepositoryName": "likewise",
				"Source.CodeCommit.Existing":       "likewise",
				"Source.CodeCommit.Branch":         "likewise",
				"Source.Folder.Path":               "likewise",
				"Source.GitHub.Repository":         "likewise",
				"Source.GitHub.ConnectionARN":      "likewise",
				"Source.GitHub.Branch":             "likewise",
				"Repository":                       "a construct",
				"EncryptionKey":                    "a construct",
				"VPC":                              "a construct",
				"Subnets":                          "a construct",
				"SecurityGroups":                   "a construct",
				"Code":                             "a construct",
				"FailureTopic":                     "a construct, see TestRunnerImageStack_TakesWhatTheConfigurationNames",
				"AlarmTopic":                       "likewise",
				"EncryptionKeyARN":                 "likewise",
				"BuildInVPC":                       "the construct VPC, see TestRunnerImageStack_BuildsInTheVPCOfTheConfiguration",
				"FailureTopicARN":                  "likewise",
				"AlarmTopicARN":                    "likewise",
			},
		},
		{
			name:     "webhook",
			settings: &settings.Webhook{},
			props:    func(s any) any { return *webhookProps(*s.(*settings.Webhook)) },
			otherwise: map[string]string{
				"EventBus":       "a construct",
				"Secret":         "a construct",
				"PreviousSecret": "a construct",
				"Code":           "a construct",
			},
		},
		{
			name:     "registration",
			settings: &settings.Registration{},
			props:    func(s any) any { return *registrationProps(*s.(*settings.Registration)) },
			otherwise: map[string]string{
				"Organization":  "the scope, see TestRunnersStack_RegistersRunnersWhereTheConfigurationSays",
				"Repository":    "likewise",
				"Enterprise":    "likewise",
				"Scope":         "likewise",
				"SecretARN":     "likewise",
				"Credential":    "a construct",
				"Cluster":       "a construct",
				"EncryptionKey": "a construct",
				"Code":          "a construct",
			},
		},
		{
			name:     "fleet",
			settings: &settings.Fleet{},
			props:    func(s any) any { return *fleetProps(*s.(*settings.Fleet)) },
			otherwise: map[string]string{
				"Capacity":         "a construct, by its id",
				"Image":            "a construct",
				"Registration":     "a construct",
				"Mounts":           "constructs",
				"Ulimits":          "constructs",
				"Secrets":          "constructs",
				"LogEncryptionKey": "a construct",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for bit := range 7 {
				f := filler{t: t, bit: bit}
				f.fill(reflect.ValueOf(test.settings).Elem())
				require.Less(t, f.n, 1<<7, "booleans need another bit")
				want, got := map[string]string{}, map[string]string{}
				flatten("", reflect.ValueOf(test.settings).Elem(), want)
				flatten("", reflect.ValueOf(test.props(test.settings)), got)
				for path := range test.otherwise {
					_, isSetting := want[path]
					_, isProp := got[path]
					assert.Truef(t, isSetting || isProp, "%s is neither a setting nor a prop", path)
					delete(want, path)
					delete(got, path)
				}
				assert.Equal(t, want, got)
			}
		})
	}
}

func TestProps_OfAbsentSettingsAreAbsent(t *testing.T) {
	assert.Equal(t, &constructs.RunnerCapacityProps{Agent: &constructs.Agent{}}, capacityProps(settings.Capacity{}),
		"the constructs would take an invented value for one that was given")
}

// filler gives each field a value of its own: its number n, in one form or
// another. A boolean is one bit of n, so that over all bits no two are the same.
type filler struct {
	t   *testing.T
	bit int
	n   int
}

func (f *filler) fill(v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
		return
	}
	f.n++
	if d, ok := v.Addr().Interface().(*settings.Duration); ok {
		*d = settings.Duration(time.Duration(f.n) * time.Minute)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("value-%d", f.n))
	case reflect.Int:
		v.SetInt(int64(f.n))
	case reflect.Bool:
		v.SetBool(f.n>>f.bit&1 == 1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		f.fill(element)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(fmt.Sprintf("key-%d", f.n)).Convert(v.Type().Key()), element)
	default:
		require.Failf(f.t, "a new kind of setting", "%s", v.Type())
	}
}

// flatten spells the fields of settings or props by their paths, in the same
// words for both.
func flatten(path string, v reflect.Value, into map[string]string) {
	for i := range v.NumField() {
		name, field := path+v.Type().Field(i).Name, v.Field(i)
		for field.Kind() == reflect.Pointer && !field.IsNil() && field.Type().Elem().Kind() != reflect.Struct {
			field = field.Elem()
		}
		switch value := field.Interface().(type) {
		case settings.Duration:
			into[name] = time.Duration(value).String()
			continue
		case awscdk.Duration:
			into[name] = (time.Duration(*value.ToMilliseconds(nil)) * time.Millisecond).String()
			continue
		}
		switch {
		case field.Kind() == reflect.Pointer && !field.IsNil():
			flatten(name+".", field.Elem(), into)
		case field.Kind() == reflect.Struct:
			flatten(name+".", field, into)
		case field.Kind() == reflect.String: // the CDK spells price-capacity-optimized as PRICE_CAPACITY_OPTIMIZED
			into[name] = strings.ToLower(strings.ReplaceAll(field.String(), "_", "-"))
		default:
			into[name] = fmt.Sprint(field.Interface())
		}
	}
}
