package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// metric is a CloudWatch metric, by default for each minute.
type metric struct {
	namespace, name string
	dimensions      map[string]*string
	statistic       string
	period          awscdk.Duration
}

// of returns the metric with what a caller wants different. It is attached to the
// scope: alarms and dashboards of other stacks then look for it in the scope's
// account and region.
func (m metric) of(scope constructs.IConstruct, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	if m.period == nil {
		m.period = awscdk.Duration_Minutes(jsii.Number(1))
	}
	made := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace:     &m.namespace,
		MetricName:    &m.name,
		DimensionsMap: &m.dimensions,
		Statistic:     &m.statistic,
		Period:        m.period,
	})
	if options != nil {
		made = made.With(options)
	}
	return made.AttachTo(scope)
}
