//go:build !unix

package bundle

import "io/fs"

// private takes the system's word: here the user's folder for caches is in the
// profile, which other users cannot write to.
func private(fs.FileInfo) bool { return true }
