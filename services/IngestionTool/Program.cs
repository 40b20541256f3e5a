using RuleEngineNats.IngestionTool;

return await IngestCommand.RunAsync(args);
