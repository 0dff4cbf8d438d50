package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/jsii-runtime-go"
)

// addAlarms notifies the topics of builds that fail, and of checks that do not take
// place.
func (p *RunnerImagePipeline) addAlarms() {
	if p.props.FailureTopic != nil {
		rule := p.onBuilds("Failed", "Tells of builds of the runner image that have failed", failedStatuses)
		field := func(path string) string { return *awsevents.EventField_FromPath(&path) }
		rule.AddTarget(awseventstargets.NewSnsTopic(p.props.FailureTopic, &awseventstargets.SnsTopicProps{
			Message: awsevents.RuleTargetInput_FromText(jsii.String("Building the runner image with project " + field("$.detail.project-name") +
				" ended with " + field("$.detail.build-status") + ". Tasks start from the image before. Its log: " + field("$.detail.additional-information.logs.deep-link"))),
		}))
	}
	if p.props.AlarmTopic == nil {
		return
	}
	action := awscloudwatchactions.NewSnsAction(p.props.AlarmTopic)
	p.function.MetricErrors(nil).CreateAlarm(p, jsii.String("FunctionFails"), &awscloudwatch.CreateAlarmOptions{
		AlarmDescription: jsii.String("The function that tells CloudFormation how a build of the runner image ended has failed; " +
			"after two more attempts, a deployment that waits for it would do so until it times out"),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		Threshold:          jsii.Number(1),
		EvaluationPeriods:  jsii.Number(1),
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	}).AddAlarmAction(action)
	for _, architecture := range p.props.Architectures {
		p.MetricFailedBuilds(architecture, nil).CreateAlarm(p, jsii.String("BuildsFail"+architectureID[architecture]), &awscloudwatch.CreateAlarmOptions{
			AlarmDescription:   jsii.String("A build of the runner image for " + string(architecture) + " has failed; tasks start from the image before"),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
			Threshold:          jsii.Number(1),
			EvaluationPeriods:  jsii.Number(1),
			TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
		}).AddAlarmAction(action)
		days := p.props.MaxImageAge.Hours() / 24
		p.MetricImageAge(architecture, nil).CreateAlarm(p, jsii.String("ImageOld"+architectureID[architecture]), &awscloudwatch.CreateAlarmOptions{
			AlarmDescription:   jsii.String(fmt.Sprintf("The runner image for %s is %v days old; GitHub gives it no more jobs 30 days after a newer release of actions/runner", architecture, days)),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
			Threshold:          jsii.Number(days),
			EvaluationPeriods:  jsii.Number(1),
			TreatMissingData:   awscloudwatch.TreatMissingData_IGNORE, // it is written when a build has ended
		}).AddAlarmAction(action)
		// Rarer checks do not fit the seven days that CloudWatch looks back.
		if !p.props.checksDaily() {
			continue
		}
		p.MetricSucceededBuilds(architecture, &awscloudwatch.MetricOptions{Period: awscdk.Duration_Days(jsii.Number(1))}).
			CreateAlarm(p, jsii.String("ImageUnchecked"+architectureID[architecture]), &awscloudwatch.CreateAlarmOptions{
				AlarmDescription: jsii.String("Nobody has found the runner image for " + string(architecture) +
					" to be current for three days; GitHub gives it no more jobs 30 days after a newer release of actions/runner"),
				ComparisonOperator: awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD,
				Threshold:          jsii.Number(1),
				EvaluationPeriods:  jsii.Number(3),
				TreatMissingData:   awscloudwatch.TreatMissingData_BREACHING,
			}).AddAlarmAction(action)
	}
}
