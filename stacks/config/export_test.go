package config

// What tests outside of the package look at.
var (
	Decode = decodeConfig
	Fields = fieldsOf
)
