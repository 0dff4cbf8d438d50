package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

// DynamoDB is what a Table needs of the service. A *dynamodb.Client is one.
type DynamoDB interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// Table is a ledger in DynamoDB.
type Table struct {
	db   DynamoDB
	name string
}

// NewTable returns the ledger in a table.
func NewTable(db DynamoDB, name string) *Table { return &Table{db, name} }

// jobItem and taskItem are the items of a job and of a task. Times are numbers:
// in milliseconds where they are sorted by or compared, in seconds where DynamoDB
// itself reads them.
type jobItem struct {
	Key        string   `dynamodbav:"id"`
	Version    int64    `dynamodbav:"version"`
	Expires    int64    `dynamodbav:"expires_at"`
	Fleet      string   `dynamodbav:"fleet"`
	State      State    `dynamodbav:"state"`
	FleetState string   `dynamodbav:"fleet_state,omitempty"`
	QueuedAt   int64    `dynamodbav:"queued_at"`
	Repository string   `dynamodbav:"repository"`
	Labels     []string `dynamodbav:"labels,omitempty"`
	Task       string   `dynamodbav:"task,omitempty"`
	Lease      int64    `dynamodbav:"lease,omitempty"`
	Runner     Runner   `dynamodbav:"runner"`
}

type taskItem struct {
	Key          string   `dynamodbav:"id"`
	Version      int64    `dynamodbav:"version"`
	Expires      int64    `dynamodbav:"expires_at"`
	Job          string   `dynamodbav:"job,omitempty"`
	Runner       Runner   `dynamodbav:"runner"`
	Started      bool     `dynamodbav:"started"`
	ReleaseToken string   `dynamodbav:"release_token,omitempty"`
	Tried        []string `dynamodbav:"tried,omitempty"`
}

const attributeVersion = "version"

// Job implements Ledger.
func (t *Table) Job(ctx context.Context, id string) (Job, error) {
	var item jobItem
	if err := t.get(ctx, registrationcontract.LedgerJob+id, &item); err != nil {
		return Job{}, fmt.Errorf("reading job %s: %w", id, err)
	}
	return item.job(id), nil
}

// Task implements Ledger.
func (t *Table) Task(ctx context.Context, id string) (Task, error) {
	var item taskItem
	if err := t.get(ctx, registrationcontract.LedgerTask+id, &item); err != nil {
		return Task{}, fmt.Errorf("reading task %s: %w", id, err)
	}
	return Task{ID: id, Job: item.Job, Runner: item.Runner, Started: item.Started, ReleaseToken: item.ReleaseToken, Tried: item.Tried, Version: item.Version}, nil
}

// List implements Ledger.
func (t *Table) List(ctx context.Context, fleet string, state State, limit int32) ([]Job, error) {
	out, err := t.db.Query(ctx, &dynamodb.QueryInput{
		TableName:                 &t.name,
		IndexName:                 aws.String(registrationcontract.LedgerIndex),
		KeyConditionExpression:    aws.String(registrationcontract.LedgerFleetState + " = :fleet_state"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":fleet_state": &types.AttributeValueMemberS{Value: fleetState(fleet, state)}},
		Limit:                     &limit,
	})
	if err != nil {
		return nil, fmt.Errorf("listing jobs: %w", err)
	}
	var items []jobItem
	if err := attributevalue.UnmarshalListOfMaps(out.Items, &items); err != nil {
		return nil, fmt.Errorf("decoding jobs: %w", err)
	}
	jobs := make([]Job, len(items))
	for i, item := range items {
		jobs[i] = item.job(item.Key[len(registrationcontract.LedgerJob):])
	}
	return jobs, nil
}

// Write implements Ledger.
func (t *Table) Write(ctx context.Context, now time.Time, job *Job, task *Task) error {
	var puts []types.TransactWriteItem
	add := func(version int64, item any) error {
		attributes, err := attributevalue.MarshalMap(item)
		if err != nil {
			return fmt.Errorf("encoding a ledger item: %w", err)
		}
		put := &types.Put{TableName: &t.name, Item: attributes}
		if version == 0 {
			put.ConditionExpression = aws.String("attribute_not_exists(" + registrationcontract.LedgerKey + ")")
		} else {
			put.ConditionExpression = aws.String("#version = :version")
			put.ExpressionAttributeNames = map[string]string{"#version": attributeVersion}
			put.ExpressionAttributeValues = map[string]types.AttributeValue{":version": &types.AttributeValueMemberN{Value: strconv.FormatInt(version, 10)}}
		}
		puts = append(puts, types.TransactWriteItem{Put: put})
		return nil
	}
	if job != nil {
		if err := add(job.Version, newJobItem(*job, now)); err != nil {
			return err
		}
	}
	if task != nil {
		if err := add(task.Version, taskItem{
			Key: registrationcontract.LedgerTask + task.ID, Version: task.Version + 1, Expires: now.Add(liveAge).Unix(),
			Job: task.Job, Runner: task.Runner, Started: task.Started, ReleaseToken: task.ReleaseToken, Tried: task.Tried,
		}); err != nil {
			return err
		}
	}
	if err := t.put(ctx, puts); err != nil {
		return err
	}
	if job != nil {
		job.Version++
	}
	if task != nil {
		task.Version++
	}
	return nil
}

func (t *Table) put(ctx context.Context, puts []types.TransactWriteItem) error {
	var err error
	if len(puts) == 1 {
		put := puts[0].Put
		_, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: put.TableName, Item: put.Item, ConditionExpression: put.ConditionExpression,
			ExpressionAttributeNames: put.ExpressionAttributeNames, ExpressionAttributeValues: put.ExpressionAttributeValues,
		})
	} else {
		_, err = t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: puts})
	}
	var failed *types.ConditionalCheckFailedException
	var cancelled *types.TransactionCanceledException
	var conflict *types.TransactionConflictException
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed), errors.As(err, &conflict), errors.As(err, &cancelled) && contended(cancelled):
		return ErrConflict
	default:
		return fmt.Errorf("writing the ledger: %w", err)
	}
}

// contended reports whether a transaction was refused because of others that change
// the same items, and not because of the table.
func contended(cancelled *types.TransactionCanceledException) bool {
	for _, reason := range cancelled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "ConditionalCheckFailed", "TransactionConflict":
			return true
		}
	}
	return false
}

func (t *Table) get(ctx context.Context, key string, into any) error {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &t.name,
		Key:            map[string]types.AttributeValue{registrationcontract.LedgerKey: &types.AttributeValueMemberS{Value: key}},
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return err
	}
	if err := attributevalue.UnmarshalMap(out.Item, into); err != nil {
		return fmt.Errorf("decoding it: %w", err)
	}
	return nil
}

func newJobItem(j Job, now time.Time) jobItem {
	item := jobItem{
		Key: registrationcontract.LedgerJob + j.ID, Version: j.Version + 1, Expires: j.expires(now).Unix(),
		Fleet: j.Fleet, State: j.State, QueuedAt: j.QueuedAt.UnixMilli(), Repository: j.Repository, Labels: j.Labels,
		Task: j.Task, Runner: j.Runner,
	}
	if !j.Lease.IsZero() {
		item.Lease = j.Lease.UnixMilli()
	}
	if !j.State.Final() { // what has ended is in no list
		item.FleetState = fleetState(j.Fleet, j.State)
	}
	return item
}

func (i jobItem) job(id string) Job {
	j := Job{
		ID: id, Fleet: i.Fleet, Repository: i.Repository, Labels: i.Labels, State: i.State,
		Task: i.Task, Runner: i.Runner, Version: i.Version,
	}
	if i.QueuedAt != 0 {
		j.QueuedAt = time.UnixMilli(i.QueuedAt)
	}
	if i.Lease != 0 {
		j.Lease = time.UnixMilli(i.Lease)
	}
	return j
}

func fleetState(fleet string, state State) string { return fleet + "#" + string(state) }
