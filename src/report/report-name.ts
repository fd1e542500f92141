/** Name of the report among the outputs. */
export const REPORT_NAME = 'quantc.report.json';
