// Command webhook measures the webhook program, built as it is deployed and driven
// over the Lambda runtime API, against a fake of EventBridge and Secrets Manager
// that serves TLS in a process of its own.
//
//	go run ./bench/webhook
//
// Beside the program it measures, in the same run and with the same payload, what
// no program of this kind can do without: a bare PutEvents of the AWS SDK, and a
// Lambda handler that does nothing. It runs on Linux, whose /proc it reads.
package main
