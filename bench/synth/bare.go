package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/jsii-runtime-go"
)

// synthesizeBare is the bare app. counts are the numbers of parameters in its
// stacks, separated by spaces.
func synthesizeBare(counts string) error {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	for i, count := range strings.Fields(counts) {
		stack := awscdk.NewStack(app, jsii.String("Bare"+strconv.Itoa(i)), nil)
		n, err := strconv.Atoi(count)
		if err != nil {
			return fmt.Errorf("reading the number of parameters: %w", err)
		}
		for j := range n {
			awsssm.NewStringParameter(stack, jsii.String("P"+strconv.Itoa(j)), &awsssm.StringParameterProps{StringValue: jsii.String("value")})
		}
	}
	app.Synth(nil)
	return nil
}
