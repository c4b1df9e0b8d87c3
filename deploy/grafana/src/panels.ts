import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphGradientMode,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  SortOrder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
} from '@grafana/grafana-foundation-sdk/common';
import {
  AnnotationQueryBuilder,
  ConstantVariableBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  MappingType,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  VariableSort,
  type Dashboard,
  type Threshold,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { GraphThresholdsStyleConfigBuilder, StackingConfigBuilder, VizLegendOptionsBuilder, VizTooltipOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as FigureBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** An expression, and what its series are called. */
export type Query = readonly [expression: string, legend: string];

/** From where on a value is worth a look, and from where on somebody should have been woken; `below` where less is worse. */
export type Bounds = { readonly warning: number; readonly critical: number; readonly below?: boolean };

export type Panel = {
  /** The question that it answers. */
  readonly asks: string;
  /** What to make of the answer: what is usual, and what it means when it is not. */
  readonly explains: string;
  /** One of Grafana's. */
  readonly unit: 's' | 'bytes' | 'percentunit' | 'reqps' | 'short' | 'cores';
  readonly queries: readonly Query[];
  readonly bounds?: Bounds;
  /** The name of a page in docs/runbook. */
  readonly runbook?: string;
};

/** A number, as large as can be, with its past behind it. */
export type Figure = Panel & { readonly kind: 'figure'; readonly says?: Readonly<Record<string, { readonly text: string; readonly color: string }>> };
export type Graph = Panel & { readonly kind: 'graph'; readonly stacked?: boolean; readonly wide?: boolean };

export type Row = { readonly title: string; readonly panels: readonly (Figure | Graph)[] };
export type Board = {
  readonly uid: string;
  readonly title: string;
  readonly explains: string;
  /** Whether services and their replicas can be picked: its queries then hold `PICKED`. */
  readonly picks?: boolean;
  readonly rows: readonly Row[];
};

/** What is drawn upright through every graph of a dashboard, at the time when it happened. */
export type Mark = { readonly name: string; readonly color: string; readonly expression: string; readonly says: string; readonly atItsValue?: boolean };

/** A selector of the processes that are picked. */
export const PICKED = 'service=~"$service", instance=~"$instance"';

/** Causes come before their effects: most of what goes wrong begins beside one of these. */
export const marks: readonly Mark[] = [
  { name: 'Started', color: 'blue', expression: 'process_start_time_seconds{service!=""} * 1000', says: '{{service}} {{instance}} was started', atItsValue: true },
  { name: 'Deployed', color: 'purple', expression: 'count by (service, version) (posthorn_build_info) unless count by (service, version) (posthorn_build_info offset 5m)', says: '{{service}} {{version}} is new' },
  { name: 'Alerts', color: 'red', expression: 'ALERTS{alertname=~"Posthorn.+", alertstate="firing"}', says: '{{alertname}}' },
];

export const figure = (panel: Omit<Figure, 'kind'>): Figure => ({ kind: 'figure', ...panel });
export const graph = (panel: Omit<Graph, 'kind'>): Graph => ({ kind: 'graph', ...panel });

/** Quantiles of a histogram over the scrapes of a panel's step. */
export const quantiles = (histogram: string, selector: string, by: string, at: readonly number[]): readonly Query[] =>
  at.map((quantile) => {
    const labels = ['le', ...(by === '' ? [] : [by])].join(', ');
    const name = `p${String(quantile * 100)}`;
    return [`histogram_quantile(${quantile}, sum by (${labels}) (rate(${histogram}_bucket${selector}[$__rate_interval])))`, by === '' ? name : `{{${by}}} ${name}`] as const;
  });

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const TAG = 'posthorn';
/** Grafana's names for the queries of a panel. */
const REF_IDS = 'ABCDEFGHIJ';
/** Columns of a dashboard. */
const WIDTH = 24;
const FIGURE_HEIGHT = 5;
const GRAPH_HEIGHT = 9;

const stepsOf = ({ warning, critical, below = false }: Bounds): Threshold[] =>
  below
    ? [{ value: null, color: 'red' }, { value: critical, color: 'orange' }, { value: warning, color: 'green' }]
    : [{ value: null, color: 'green' }, { value: warning, color: 'orange' }, { value: critical, color: 'red' }];

const thresholdsOf = (bounds: Bounds | undefined): ThresholdsConfigBuilder =>
  new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(bounds === undefined ? [{ value: null, color: 'text' }] : stepsOf(bounds));

const linkTo = (page: string): DashboardLinkBuilder =>
  new DashboardLinkBuilder('Runbook').type(DashboardLinkType.Link).url(`\${runbook}/${page}.md`).targetBlank(true);

const targetsOf = (queries: readonly Query[]): DataqueryBuilder[] =>
  queries.map(([expression, legend], index) => new DataqueryBuilder().refId(REF_IDS.charAt(index)).datasource(DATASOURCE).expr(expression).legendFormat(legend).exemplar(expression.startsWith('histogram_quantile(')).range());

const figureOf = ({ says, ...panel }: Figure, width: number): FigureBuilder => {
  const built = new FigureBuilder()
    .height(FIGURE_HEIGHT)
    .span(width)
    .colorMode(panel.bounds === undefined ? BigValueColorMode.None : BigValueColorMode.Background)
    .graphMode(BigValueGraphMode.Area)
    .noValue('nothing yet');
  if (says !== undefined) built.mappings([{ type: MappingType.ValueToText, options: { ...says } }]);
  return common(built, panel);
};

const graphOf = ({ stacked = false, ...panel }: Graph, width: number): GraphBuilder => {
  const built = new GraphBuilder()
    .height(GRAPH_HEIGHT)
    .span(width)
    .min(0)
    .lineWidth(1)
    .fillOpacity(stacked ? 35 : 8)
    .gradientMode(GraphGradientMode.Opacity)
    .showPoints(VisibilityMode.Never)
    .stacking(new StackingConfigBuilder().mode(stacked ? StackingMode.Normal : StackingMode.None))
    .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(panel.bounds === undefined ? GraphThresholdsStyleMode.Off : GraphThresholdsStyleMode.Dashed))
    .legend(new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.Table).placement(LegendPlacement.Bottom).showLegend(true).calcs(['lastNotNull', 'max']))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  return common(built, panel);
};

const common = <Builder extends FigureBuilder | GraphBuilder>(built: Builder, { asks, explains, unit, queries, bounds, runbook }: Panel): Builder => {
  built.title(asks).description(explains).datasource(DATASOURCE).unit(unit === 'cores' ? 'none' : unit).thresholds(thresholdsOf(bounds)).targets(targetsOf(queries));
  if (runbook !== undefined) built.links([linkTo(runbook)]);
  return built;
};

const widthsOf = (panels: Row['panels']): readonly number[] => {
  const figures = panels.filter(({ kind }) => kind === 'figure').length;
  return panels.map((panel) => (panel.kind === 'figure' ? Math.floor(WIDTH / figures) : panel.wide ? WIDTH : WIDTH / 2));
};

const markOf = ({ name, color, expression, says, atItsValue = false }: Mark): AnnotationQueryBuilder =>
  new AnnotationQueryBuilder().name(name).datasource(DATASOURCE).enable(true).iconColor(color).expr(expression).titleFormat(says).useValueForTime(atItsValue);

/** One of the values that a label of `posthorn_build_info` has, many, or all. */
const picker = (label: string, title: string, selector: string): QueryVariableBuilder =>
  new QueryVariableBuilder(label)
    .label(title)
    .datasource(DATASOURCE)
    .query({ query: `label_values(posthorn_build_info${selector}, ${label})`, refId: label })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current({ text: ['All'], value: ['$__all'] });

/** The dashboard as Grafana reads it. */
export const dashboardOf = ({ uid, title, explains, picks = false, rows }: Board): Dashboard => {
  const board = new DashboardBuilder(title)
    .uid(uid)
    .description(explains)
    .tags([TAG])
    .timezone('browser')
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(new ConstantVariableBuilder('runbook').description('Where docs/runbook is served').value('/public/runbook'))
    .link(new DashboardLinkBuilder('Posthorn').type(DashboardLinkType.Dashboards).tags([TAG]).keepTime(true).includeVars(true));
  for (const mark of marks) board.annotation(markOf(mark));
  if (picks) board.withVariable(picker('service', 'Service', '')).withVariable(picker('instance', 'Replica', '{service=~"$service"}'));
  for (const row of rows) {
    board.withRow(new RowBuilder(row.title));
    const widths = widthsOf(row.panels);
    for (const [index, panel] of row.panels.entries()) {
      const width = widths[index] ?? WIDTH;
      board.withPanel(panel.kind === 'figure' ? figureOf(panel, width) : graphOf(panel, width));
    }
  }
  return board.build();
};
