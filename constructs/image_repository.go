package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/jsii-runtime-go"
)

// newRepository makes a repository in which no tag but the channel's can be moved.
func (p *RunnerImagePipeline) newRepository() awsecr.IRepository {
	s := p.props
	var mutable []awsecr.ImageTagMutabilityExclusionFilter
	var rules []*awsecr.LifecycleRule
	add := func(rule awsecr.LifecycleRule) {
		rule.RulePriority = jsii.Number(len(rules) + 1)
		rules = append(rules, &rule)
	}
	for _, architecture := range s.Architectures {
		tag := p.channelTag(architecture)
		mutable = append(mutable, awsecr.ImageTagMutabilityExclusionFilter_Wildcard(&tag))
		// An image that a rule is about is out of reach of the rules below.
		add(awsecr.LifecycleRule{
			Description:    jsii.String("Tasks start from " + tag),
			TagStatus:      awsecr.TagStatus_TAGGED,
			TagPatternList: jsii.Strings(tag),
			MaxImageCount:  jsii.Number(1),
		})
	}
	add(awsecr.LifecycleRule{
		Description: jsii.String("Nothing refers to images without a tag"),
		TagStatus:   awsecr.TagStatus_UNTAGGED,
		MaxImageAge: days(s.UntaggedImageAge),
	})
	add(awsecr.LifecycleRule{
		Description:   jsii.String("Some images to go back to"),
		TagStatus:     awsecr.TagStatus_ANY,
		MaxImageCount: jsii.Number(s.MaxImageCount),
	})
	options := &awsecr.RepositoryProps{
		RepositoryName:                     optional(s.RepositoryName),
		ImageScanOnPush:                    jsii.Bool(true),
		ImageTagMutability:                 awsecr.TagMutability_IMMUTABLE_WITH_EXCLUSION,
		ImageTagMutabilityExclusionFilters: &mutable,
		LifecycleRules:                     &rules,
		Encryption:                         awsecr.RepositoryEncryption_AES_256(),
		RemovalPolicy:                      p.removalPolicy(),
	}
	if s.EncryptionKey != nil {
		options.Encryption, options.EncryptionKey = awsecr.RepositoryEncryption_KMS(), s.EncryptionKey
	}
	repository := awsecr.NewRepository(p, jsii.String("Repository"), options)
	if s.EmptyOnDelete || s.RemovalPolicy == awscdk.RemovalPolicy_RETAIN {
		// Not by the prop, which the CDK has for DESTROY only: what is to be retained is
		// deleted when a first deployment is rolled back, after an image may have been pushed.
		repository.Node().DefaultChild().(awsecr.CfnRepository).SetEmptyOnDelete(jsii.Bool(true))
	}
	return repository
}

// removalPolicy is what becomes of the new repositories. What is to be retained is
// deleted all the same when a first deployment is rolled back: the next attempt
// could not make it again.
func (p *RunnerImagePipeline) removalPolicy() awscdk.RemovalPolicy {
	if p.props.RemovalPolicy == awscdk.RemovalPolicy_RETAIN {
		return awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE
	}
	return awscdk.RemovalPolicy_DESTROY
}
