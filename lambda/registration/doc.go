// Registration is the Lambda function that gives the tasks of runner fleets their
// runners at GitHub. Package registration handles the requests; this program
// connects it with AWS and GitHub.
package main
