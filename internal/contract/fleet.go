package contract

// Fleet is one line of the route table: jobs whose labels are all among the
// fleet's labels go to the fleet.
type Fleet struct {
	Name   string   `json:"name"`
	Labels []string `json:"labels"`
}
