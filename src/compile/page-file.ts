/** The report as a page, written beside it where it is asked for. */

/** Name of the page among the outputs. */
export const PAGE_NAME = 'quantc.report.html';

/**
 * The page of what a report's file holds; nothing of it is loaded before.
 * @param texts of reports, which it shows side by side
 */
export async function pageOf(texts: readonly string[]): Promise<string> {
  const { reportPage } = await import('../report/html/page.js');
  return reportPage(texts.map((text) => JSON.parse(text)));
}
