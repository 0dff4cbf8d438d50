package stacks

// Programs gives tests what is built ahead of the constructs.
var Programs = programs
