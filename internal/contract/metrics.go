package contract

// Dimensions of the functions' metrics.
const (
	// DimensionFunction is the name of the Lambda function.
	DimensionFunction = "FunctionName"
	// DimensionOutcome is what became of a request, one of the function's outcomes.
	DimensionOutcome = "Outcome"
)
