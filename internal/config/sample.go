package config

import _ "embed"

// Usual is the file that is read where neither a file nor a cluster or mount is named.
const Usual = "/etc/harvest/harvest.hcl"

// Sample is the file to start from. A line that begins with # and a letter is a setting,
// one that begins with # and a space says something about it.
//
//go:embed sample.hcl
var Sample string
